//! Tokens of tracking links: the same for the same link and secret, and otherwise none like another.

use std::collections::HashSet;

use super::*;

#[test]
fn a_links_token_is_made_again_of_its_identifier_and_of_the_secret_alone() {
    let (keys, id) = (configured(""), CredentialId::new());
    let token = keys.link_token(id);
    assert!(is_link_token(&token));
    assert_eq!(configured("").link_token(id), token, "in another process");
    assert_ne!(keys.link_token(CredentialId::new()), token);
    assert_ne!(Keys::new(OTHER_SECRET).link_token(id), token);
    assert_eq!(keys.link_tokens(id).collect::<Vec<_>>(), [token]);
}

#[test]
fn a_secret_from_before_still_tells_a_links_token_and_makes_none() {
    let id = CredentialId::new();
    let rotated = configured(&format!("previous_secrets = [\"{OTHER_SECRET}\"]"));
    let told: Vec<String> = rotated.link_tokens(id).collect();
    assert_eq!(told, [Keys::new(SECRET).link_token(id), Keys::new(OTHER_SECRET).link_token(id)]);
    assert_eq!(rotated.link_token(id), told[0]);
}

#[test]
fn no_two_links_share_a_token() {
    let keys = configured("");
    let tokens: HashSet<String> =
        (0..1_000).map(|_nth| keys.link_token(CredentialId::new())).collect();
    assert_eq!(tokens.len(), 1_000);
}

#[test]
fn a_links_token_is_no_token_of_another_kind() {
    let (keys, id) = (configured(""), CredentialId::new());
    let token = keys.link_token(id);
    assert_eq!(keys.verify(&token, at(1)), Err(TokenError::Invalid));
    assert_eq!(keys.verify_subscription(&token, at(1)), Err(TokenError::Invalid));
}
