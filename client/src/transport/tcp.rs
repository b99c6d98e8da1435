//! Plain TCP.

use tokio::net::TcpStream;

use super::{Link, unreachable};
use crate::error::ClientError;
use crate::options::Options;

pub(super) async fn connect(options: &Options) -> Result<Link, ClientError> {
    let (reader, writer) = open(options).await?.into_split();
    Ok(Link::of_stream(reader, writer))
}

/// Connects to the first address of the host that takes the connection.
pub(super) async fn open(options: &Options) -> Result<TcpStream, ClientError> {
    let opened = async {
        let stream = TcpStream::connect(&options.address).await?;
        // Frames are written whole; waiting for more to send only delays them.
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    opened.await.map_err(|error| unreachable(options, &error))
}
