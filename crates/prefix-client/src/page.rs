//! Lists: a page at a time, or all of it as a stream that follows `next_cursor`.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation::Operation;
use crate::query::pairs;
use crate::reply::Reply;
use crate::transport::Call;
use bytes::Bytes;
use futures::Stream;
use prefix_api_types::{Page, PageItem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// A list that is read page by page.
#[derive(Debug)]
pub struct Paged<T> {
    client: Client,
    operation: Operation,
    query: Vec<(String, String)>,
    next: Next,
    item: std::marker::PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum Next {
    First,
    At(String),
    Done,
}

impl<T: PageItem + DeserializeOwned> Paged<T> {
    pub(crate) fn new(client: &Client, operation: Operation, query: &impl Serialize) -> Self {
        let (client, query) = (client.clone(), pairs(query));
        Self { client, operation, query, next: Next::First, item: std::marker::PhantomData }
    }

    /// The next page, or `None` after the last.
    pub async fn next_page(&mut self) -> Result<Option<Reply<Page<T>>>, ApiError> {
        let mut call = Call::new(self.operation);
        call.query.clone_from(&self.query);
        match &self.next {
            Next::First => {}
            Next::At(cursor) => call = call.query(&json!({"cursor": cursor})),
            Next::Done => return Ok(None),
        }
        let reply = self.client.call::<Page<T>>(call).await?;
        self.next = match &reply.value.next_cursor {
            Some(cursor) => Next::At(cursor.clone()),
            None => Next::Done,
        };
        Ok(Some(reply))
    }

    /// Every item from here on.
    pub fn into_stream(self) -> impl Stream<Item = Result<T, ApiError>> {
        use futures::{StreamExt, TryStreamExt, stream};
        stream::try_unfold(self, |mut list| async move {
            let page = list.next_page().await?;
            Ok::<_, ApiError>(page.map(|page| (stream::iter(page.value.items).map(Ok), list)))
        })
        .try_flatten()
    }
}

/// Several pages as one page of the API, each item as the server wrote it.
pub fn joined<T: PageItem>(pages: &[Bytes]) -> Result<String, serde_json::Error> {
    use serde_json::value::RawValue;
    use std::collections::BTreeMap;

    let mut items: Vec<&RawValue> = Vec::new();
    let mut read = Vec::with_capacity(pages.len());
    for page in pages {
        read.push(serde_json::from_slice::<BTreeMap<&str, &RawValue>>(page)?);
    }
    for page in &read {
        let list = page.get(T::MEMBER).map_or("[]", |raw| raw.get());
        items.extend(serde_json::from_str::<Vec<&RawValue>>(list)?);
    }
    let list = items.iter().map(|raw| raw.get()).collect::<Vec<_>>().join(",");
    let (key, count) = (T::MEMBER, items.len());
    Ok(format!(r#"{{"{key}":[{list}],"count":{count},"next_cursor":null,"has_more":false}}"#))
}
