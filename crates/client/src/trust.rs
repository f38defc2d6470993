//! TLS: who the server is, and how often that had to be asked.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
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
    let roots = match trust {
        Trust::Pinned(_) => Vec::new(),
        Trust::Roots => webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let verifier = Verifier {
        trust,
        roots: RootCertStore { roots },
        algorithms: provider.signature_verification_algorithms,
        calls,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls_error(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![fireside_protocol::ALPN.to_vec()];
    config.enable_early_data = early_data;
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    QuicClientConfig::try_from(config).map_err(|error| tls_error(&error))
}

/// Looks at the server's certificate. By the roots it does what rustls' own verifier does, from the same parts, without that one's code
/// for lists of revoked certificates, which nobody gives it.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    calls: VerifierCalls,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let Trust::Pinned(fingerprint) = &self.trust else {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                self.algorithms.all,
            )?;
            verify_server_name(&certificate, server_name)?;
            return Ok(ServerCertVerified::assertion());
        };
        let found = ::ring::digest::digest(&::ring::digest::SHA256, end_entity);
        if found.as_ref() == fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General(format!(
                "the server's certificate has the fingerprint {}, expected {}",
                hex(found.as_ref()),
                hex(fingerprint)
            )))
        }
    }

    /// QUIC has no TLS 1.2.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
