//! Somebody else who signs tokens: a private key, and the public one as others publish it.
//!
//! Also used by the tests of `auth`, so it stands by itself.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};

/// A test fixture: an RSA key that `openssl genrsa -traditional 2048` made for these tests alone,
/// as making one here takes long. It opens nothing anywhere.
const RSA_PRIVATE: &str = "\
    MIIEpAIBAAKCAQEAzY4c3iSZCSMB7AO0QB8H7I4mG9TZsh5lqg48IajSkTGge6Ol3Wz8aqqmdOE0ZR95EUKBQZgLC5\
    j0BEn3YZuNeuqoicydD4gsrmo8pOaXqCDDPgtkW3SEFQBE+DnnyBp3wVZ1FuGBmGorUhHFOyR2gmhO2dZW2mD4oyj7\
    fn2qSdOEtChxMaeJaiSPahEEWoP6B9vDCfK7xceG5sH6izfReEEbb+76Pn2y0HqUUk+FWkULmc/wTNgtPjVvLB4yGK\
    YBak3963VYzib2ezorfZ/tzaIzQPzQU21iLRAmik4xienB93/StVIGsWKuYhgoi/+DFEzXqVIPA9vm3A9e2neIdQID\
    AQABAoIBAAG/M6Zf7uBih7TdlYk20vuhOiVBD+XChSTcs+hR83j2NpfHUAqz2iqCTJ39IAbaF4ywjuY5kJrsLwBqur\
    vcx6GrUPFFtnHgXGatSYK8nwAYy6OiN5RdRvjh3GATf2OrdVeuySTIvHzMhbonshP1x2IqiGV5OBa9VVi/kcyc9AOv\
    h9VPhZ1bkw193yB/hVIonPDDBsPOy8RNFlMIN04Ke998DsID01V0xLRBd0ld4bVt7nm2Zh5GV7oHgwpFmVwUo+yCSz\
    5roFPoxyEqG/06RT9dSoIxP9mObq0BtnG56uhJD1E1cSF01TbWU17flJDTDD6TKyjpqmLnvf8xNNtMmdcCgYEA88op\
    qhnJUQhCoGuQnOgelpB8NbHmkVpGHVCb6QmKGiUG+A4bGlVi2m2G4AJwCG+ynWuRN1RCjtKnpeFAGCo+TJPseNdUpt\
    YlGKWzIWS6NF3f7R2feTfh9UqkfN+3nUtpyBA9D0Ei/rpNWUS9zQ0PfEwafDUHf+tYppgsgGd91ZcCgYEA19m2M7WE\
    Pn997vtXSKWz2ysP2ENBxyv6ZCdlbeNFoJ7HJJb9SRkNCPCTCSB8S7QSrlOB41yqhnWfOIAETyWzKFeT4qKXMCMImv\
    ugf6FI3fmdE0HK3BePfqlCfQfQcgunCbCl5XfP2mVOdKPOpD+IqT91+V53Yy/vR1j4E0dlC9MCgYEApEnXvBb2kRIU\
    /FCguuy+OE8UNYc2zztbxsOc3fWcyLOtN5sh7qQeIv7uhqV95GGJqAZmbTfuRpt1eRcL/3zwUODa2jCajnf/tdVsmx\
    NrXIDqt7tfzeu37Xqo0LJe5bR9i+JNk6scrzbTi1YE5ltn1SbgLlX6QN1T96jTTJDxvu8CgYEAu0CddeJkZSuI/oeA\
    wv8tNlb3Ge/O4pBeWgBrV5cwUhUsQavS81UOH9FEXUiXS71d72l2Zt1++cKUbBlyo47bC4ZePuA6NIJP9tOP+ujaI+\
    dlwszyxViTHZiMm5bp1+YP9LIQWS9FW/tCwqFQpOCRF/J7z+eJvrxY4hZmr6LiIA0CgYA9ICpNvlcNZdrRR24YPREh\
    9ujyjqUi1L08MuFL7fBVRCD3+9/Uw7PR1Q+qdUgdyCA0FGAiB0EeqEKu+Ce9bBtw0zFxTvBDeDRuCqQm/rxnr6Kg77\
    dWwjL/JzI5G6TxjAaIM+J5m4IUWz0CiQDUjXKow9qOEM7H9OcCpdEbKEkiJg==";
/// Its modulus.
const RSA_MODULUS: &str = "\
    zY4c3iSZCSMB7AO0QB8H7I4mG9TZsh5lqg48IajSkTGge6Ol3Wz8aqqmdOE0ZR95EUKBQZgLC5j0BEn3YZuNeuqoic\
    ydD4gsrmo8pOaXqCDDPgtkW3SEFQBE-DnnyBp3wVZ1FuGBmGorUhHFOyR2gmhO2dZW2mD4oyj7fn2qSdOEtChxMaeJ\
    aiSPahEEWoP6B9vDCfK7xceG5sH6izfReEEbb-76Pn2y0HqUUk-FWkULmc_wTNgtPjVvLB4yGKYBak3963VYzib2ez\
    orfZ_tzaIzQPzQU21iLRAmik4xienB93_StVIGsWKuYhgoi_-DFEzXqVIPA9vm3A9e2neIdQ";
/// A test fixture: the modulus of an RSA key of 1,024 bits.
pub const RSA_WEAK_MODULUS: &str = "\
    -tfuj8O6C62LoGLlUQ0yGSmECxCGRuvb1VN9nPoDTy1CBblWw4LNb8sw_V-nLDFptNVbaygkDUaXwFfbFLenunLPOh\
    yvtzCs-QtlK804vfG2q1qe7A53JA7Y3hAoyjk_NsbaAhW9dFLkQGLRbqKEoNb2jnsD-sKLOp-x9N1HXO8";

/// What comes before the 32 bytes of an Ed25519 key in PKCS #8.
const ED25519_HEAD: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

/// A key pair with a name.
pub struct Signer {
    kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
    public: Value,
}

impl Signer {
    /// Always the same key.
    pub fn rsa(kid: &str) -> Self {
        let private = EncodingKey::from_rsa_der(&STANDARD.decode(RSA_PRIVATE).unwrap());
        let public = json!({"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB"});
        Self { kid: kid.to_owned(), algorithm: Algorithm::RS256, private, public }
    }

    pub fn p256(kid: &str) -> Self {
        let secret = p256::SecretKey::from_slice(&rand::random::<[u8; 32]>()).unwrap();
        let private = EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes());
        let point = p256::ecdsa::VerifyingKey::from(secret.public_key()).to_encoded_point(false);
        let text = |coordinate: &[u8]| URL_SAFE_NO_PAD.encode(coordinate);
        let (x, y) = (text(point.x().unwrap()), text(point.y().unwrap()));
        let public = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
        Self { kid: kid.to_owned(), algorithm: Algorithm::ES256, private, public }
    }

    pub fn ed25519(kid: &str) -> Self {
        let seed = rand::random::<[u8; 32]>();
        let private = EncodingKey::from_ed_der(&[ED25519_HEAD.as_slice(), &seed].concat());
        let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
        let x = URL_SAFE_NO_PAD.encode(public.as_bytes());
        let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        Self { kid: kid.to_owned(), algorithm: Algorithm::EdDSA, private, public }
    }

    /// One of each algorithm, with these names' beginnings: `rsa`, `p256`, `ed25519`.
    pub fn each() -> [Self; 3] {
        [Self::rsa("rsa"), Self::p256("p256"), Self::ed25519("ed25519")]
    }

    /// The name of its algorithm in a token's head.
    pub fn alg(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// The public key, as it stands in a set.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = self.kid.clone().into();
        jwk["alg"] = self.alg().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token that says this.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_under(&json!({"typ": "JWT", "alg": self.alg(), "kid": self.kid}), claims)
    }

    /// The same under any head, whatever that says.
    pub fn sign_under(&self, head: &Value, claims: &Value) -> String {
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = crypto::sign(signed.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

/// A set of public keys.
pub fn key_set(signers: &[&Signer]) -> Value {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()})
}
