pub mod auth; pub mod config; pub mod domain; pub mod embedded; pub mod feed; pub mod frame; pub mod hub; pub mod protocol; pub mod store; pub mod view;
