//! What servers that we call are certified by: Mozilla's roots, which are compiled in, or those of
//! a file.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Why the roots do not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("reading the roots")]
    Read(#[source] pem::Error),
    /// The roots cannot be used.
    #[error("using the roots")]
    Use(#[from] rustls::Error),
}

/// How a client shakes hands that trusts the roots of this PEM file, or Mozilla's.
pub fn client(roots: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    let mut store = RootCertStore::empty();
    match roots {
        None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for root in CertificateDer::pem_file_iter(path).map_err(Error::Read)? {
                store.add(root.map_err(Error::Read)?)?;
            }
            if store.is_empty() {
                return Err(Error::Read(pem::Error::NoItemsFound));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
