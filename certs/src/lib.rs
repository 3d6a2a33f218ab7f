//! The certificate authority, TLS certificates and SSH host keys of devgate.
