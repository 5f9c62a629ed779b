//! Encrypted connections: trusted certificates, and HTTP/2.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::harness::{Field, done, field};

/// Puts TLS in front of the sandbox; returns its URL. The authority's certificate is in `ca.pem`.
pub(crate) fn behind_tls(field: &Field) -> String {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    field.write("ca.pem", authority.pem());
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = server.signed_by(&key, &authority).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).expect("a key that fits");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = field.runtime().block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serve = {
        let sandbox: &'static pingone_bypass::sandbox::Sandbox = Box::leak(Box::new(
            field
                .runtime()
                .block_on(pingone_bypass::sandbox::Sandbox::start(pingone_bypass::sandbox::SandboxConfig::default()))
                .expect("a port"),
        ));
        move |stream| sandbox.serve(stream)
    };
    field.runtime().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            let serve = serve;
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()), "HTTP/2 is agreed on");
                    drop(serve(stream).await);
                }
            });
        }
    });
    format!("https://localhost:{port}")
}

#[test]
fn an_authority_is_trusted_that_the_user_names_and_no_other() {
    let field = field();
    let url = behind_tls(&field);
    field.users(20, "+4h");
    let run = |arguments: &[&str]| {
        let mut tool = field.tool(&[&["grant", "in.csv", "--overwrite", "--rate", "unlimited"], arguments].concat());
        done(tool.env("PINGONE_API_URL", format!("{url}/v1")).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"))
    };
    let trusted = run(&["--ca-cert", "ca.pem"]);
    assert_eq!(trusted.code, 0, "{}", trusted.stderr);
    assert_eq!(field.report("in.report.csv").count("granted"), 20);

    let untrusted = run(&[]);
    assert_eq!(untrusted.code, 3, "{}", untrusted.stderr);
    assert!(untrusted.stderr.contains("error: the certificate of `localhost` is not trusted"), "{}", untrusted.stderr);
    assert!(untrusted.stderr.contains("`--ca-cert`"), "{}", untrusted.stderr);

    // Only the token endpoint is encrypted. (Behind it is another sandbox, whose tokens the API does not know.)
    let arguments = ["grant", "in.csv", "--overwrite", "--ca-cert", "ca.pem"];
    let mixed = done(field.tool(&arguments).env("PINGONE_AUTH_URL", &url).output().expect("the tool runs"));
    assert!(mixed.code == 4 && mixed.stderr.contains("refused a token that had just been fetched"), "{} {}", mixed.code, mixed.stderr);

    field.write("no.pem", "not a certificate");
    let wrong = run(&["--ca-cert", "no.pem"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("no.pem: there is no certificate in PEM form"), "{}", wrong.stderr);
}

#[test]
fn loopback_is_reached_past_a_proxy() {
    let field = field();
    field.users(3, "+4h");
    let mut tool = field.tool(&["grant", "in.csv"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        tool.env(name, "http://127.0.0.1:9");
    }
    let done = done(tool.output().expect("the tool runs"));
    assert_eq!(done.code, 0, "{}", done.stderr);
}
