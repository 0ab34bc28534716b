//! DRY_RUN: says what would be fetched, and answers as if there were nothing new: what is on disk stays, and nothing is made up.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::core::object::remote::{Arrival, RemoteFiles};
use crate::core::object::{ObjectKey, SourceEvent};
use crate::source::downloads::DownloadRequest;
use crate::source::mailbox::Mailbox;

/// Serves orders until nobody can give any more. Each question is told once.
pub(crate) async fn would_download(mailbox: Mailbox, mut orders: UnboundedReceiver<DownloadRequest>) {
    let mut told: HashMap<Arc<ObjectKey>, Vec<u64>> = HashMap::new();
    while let Some(order) = orders.recv().await {
        // The same bytes as before are nothing that could come again.
        let DownloadRequest::Files(RemoteFiles { key, files }) = order else { continue };
        let before = told.remove(&key).unwrap_or_default();
        for file in &files {
            if !before.contains(&file.ticket) {
                tracing::info!(object = %key, path = %file.path, "would fetch the file behind a URL, what it holds is not known");
            }
            let (key, path, ticket) = ((*key).clone(), file.path.clone(), file.ticket);
            mailbox.push(SourceEvent::Arrived { key, path, ticket, arrival: Arrival::Unchanged });
        }
        if !files.is_empty() {
            told.insert(key, files.into_iter().map(|file| file.ticket).collect());
        }
    }
}
