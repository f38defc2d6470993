//! TLS: who the server is, and how often that had to be asked.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{StartError, Trust};

/// QUIC settings with the client's own TLS and transport, for tools that speak the protocol by hand.
///
/// # Errors
/// [`StartError::Tls`].
pub fn quic_config(trust: Trust) -> Result<quinn::ClientConfig, StartError> {
    let crypto = tls(trust, false, VerifierCalls::default())?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(crate::connection::transport()));
    Ok(config)
}

/// Certificates looked at. A resumed connection carries none: this is how resumption is proven.
pub(crate) type VerifierCalls = Arc<AtomicU64>;

/// Tickets kept, in sessions: one server, a few of its tickets.
const SESSIONS_MAX: usize = 8;

/// Client TLS for QUIC; its tickets live as long as it does.
pub(crate) fn tls(
    trust: Trust,
    early_data: bool,
    calls: VerifierCalls,
) -> Result<QuicClientConfig, StartError> {
    let provider = Arc::new(ring::default_provider());
    let tls_error = |error: &dyn std::fmt::Display| StartError::Tls(error.to_string());
    let inner: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Pinned(fingerprint) => Arc::new(Pinned {
            fingerprint,
            provider: provider.clone(),
        }),
        Trust::Roots => {
            let roots = RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            };
            WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
                .build()
                .map_err(|error| tls_error(&error))?
        }
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls_error(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Counting { inner, calls }))
        .with_no_client_auth();
    config.alpn_protocols = vec![fireside_protocol::ALPN.to_vec()];
    config.enable_early_data = early_data;
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    QuicClientConfig::try_from(config).map_err(|error| tls_error(&error))
}

#[derive(Debug)]
struct Counting {
    inner: Arc<dyn ServerCertVerifier>,
    calls: VerifierCalls,
}

impl ServerCertVerifier for Counting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}

#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = ::ring::digest::digest(&::ring::digest::SHA256, end_entity);
        if found.as_ref() == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General(format!(
                "the server's certificate has the fingerprint {}, expected {}",
                hex(found.as_ref()),
                hex(&self.fingerprint)
            )))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
