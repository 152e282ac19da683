//! A QUIC peer for tests: a certificate, and a server that sends back what it gets.

use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig};
use std::sync::Arc;

/// A certificate for `server`. Ed25519, whose signatures have one size; ECDSA's vary, and packets with them.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    pub fn new() -> Identity {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["server".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap().der().clone();
        Identity { certificate, key: key.serialize_der() }
    }

    pub fn server(&self) -> ServerConfig {
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        ServerConfig::with_single_cert(vec![self.certificate.clone()], key.into()).unwrap()
    }

    pub fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        ClientConfig::with_root_certificates(Arc::new(roots)).unwrap()
    }
}

pub fn endpoint_config(seed: u8) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.rng_seed(Some([seed; 32]));
    config
}

/// A server that sends back what each stream brings.
pub fn serve_echo(endpoint: &Endpoint) {
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                let connection = incoming.await.unwrap();
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    tokio::spawn(async move {
                        while let Some(chunk) = receive.read_chunk(65_536, true).await.unwrap() {
                            send.write_chunk(chunk.bytes).await.unwrap();
                        }
                        send.finish().unwrap();
                    });
                }
            });
        }
    });
}

pub fn bytes_of(stream: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at as u8).wrapping_mul(31) ^ stream).collect()
}

/// Sends `bytes` on a stream of its own and reads as many back.
pub async fn exchange_on_stream(connection: &Connection, stream: u8, bytes: usize) {
    let data = bytes_of(stream, bytes);
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let sent = data.clone();
    let sending = tokio::spawn(async move {
        send.write_all(&sent).await.unwrap();
        send.finish().unwrap();
    });
    let back = receive.read_to_end(bytes).await.unwrap();
    sending.await.unwrap();
    assert!(back == data, "stream {stream} brought other bytes");
}
