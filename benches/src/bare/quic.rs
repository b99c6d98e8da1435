//! The bare loop over QUIC: quinn carries the round on one stream of each connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Incoming, SendStream};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{ORDERS_BYTES, Orders};
use crate::batch::{self, Batches};
use crate::bench_error::{BenchError, Doing};
use crate::child::report;
use crate::credentials;
use crate::messages::{BareTask, Report};
use crate::quic_transport;

/// A member's connection, which ends when dropped, and its stream.
type Member = (Connection, SendStream);

/// Serves until the control connection ends.
pub(crate) fn run(task: BareTask) -> Result<(), BenchError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("starting a runtime")?
        .block_on(serve(task))
}

async fn serve(task: BareTask) -> Result<(), BenchError> {
    let tls = credentials::server_config(&task.certificate, &task.key)?;
    let tls = QuicServerConfig::try_from(tls).map_err(|error| BenchError::Unsuitable(error.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(quic_transport::server_transport());
    let endpoint = quic_transport::endpoint(Some(config))?;
    let control = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .doing("listening")?;
    report(&Report::Listening {
        members: endpoint.local_addr().doing("listening")?,
        control: control.local_addr().doing("listening")?,
    });
    let (mut control, _) = control.accept().await.doing("waiting for the control connection")?;

    let mut members: Vec<Member> = Vec::with_capacity(task.members);
    let (taken, mut newly_taken) = mpsc::unbounded_channel();
    while members.len() < task.members {
        tokio::select! {
            Some(incoming) = endpoint.accept() => {
                let taken = taken.clone();
                // The plan's end of the channel is gone only when the loop is over.
                tokio::spawn(async move { taken.send(take(incoming).await) });
            }
            Some(member) = newly_taken.recv() => members.push(member?),
        }
    }

    let mut batches = Batches::new(task.talk);
    let mut orders = Orders::default();
    let mut input = [0; ORDERS_BYTES];
    loop {
        let bytes = control.read(&mut input).await.doing("waiting for an order")?;
        if bytes == 0 {
            return Ok(());
        }
        orders.take_in(&input[..bytes]);
        while let Some(batch) = orders.next_batch(&mut batches) {
            for (_, stream) in &mut members {
                stream.write_chunk(batch.clone()).await.map_err(lost)?;
            }
        }
    }
}

async fn take(incoming: Incoming) -> Result<Member, BenchError> {
    let connection = incoming.await.map_err(lost)?;
    // The stream exists for this end once the member's short first frame is there.
    let (mut stream, _) = connection.accept_bi().await.map_err(lost)?;
    stream.write_chunk(batch::welcome()).await.map_err(lost)?;
    Ok((connection, stream))
}

fn lost(error: impl std::fmt::Display) -> BenchError {
    BenchError::peer("a member", error)
}
