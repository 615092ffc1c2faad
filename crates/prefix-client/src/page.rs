//! Lists: a page at a time, or all of it as a stream that follows `next_cursor`.

use crate::client::Client;
use crate::error::ApiError;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::transport::Call;
use bytes::Bytes;
use futures::Stream;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next_cursor: Option<String>,
}

/// An item of a list.
pub trait Listed: DeserializeOwned {
    /// The member of the page that holds the items.
    const KEY: &'static str;
}

impl<'de, T: Listed> Deserialize<'de> for Page<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = serde_json::Map::deserialize(deserializer)?;
        let items = members.remove(T::KEY).ok_or_else(|| D::Error::missing_field(T::KEY))?;
        let items = serde_json::from_value(items).map_err(D::Error::custom)?;
        let next_cursor = match members.remove("next_cursor") {
            Some(serde_json::Value::String(cursor)) => Some(cursor),
            _ => None,
        };
        Ok(Self { items, next_cursor })
    }
}

/// A list that is read page by page.
#[derive(Debug)]
pub struct Paged<T> {
    client: Client,
    operation: Operation,
    query: Vec<(&'static str, String)>,
    next: Next,
    item: std::marker::PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum Next {
    First,
    At(String),
    Done,
}

impl<T: Listed> Paged<T> {
    pub(crate) fn new(client: &Client, operation: Operation, query: Vec<(&'static str, String)>) -> Self {
        Self { client: client.clone(), operation, query, next: Next::First, item: std::marker::PhantomData }
    }

    /// The next page, or `None` after the last.
    pub async fn next_page(&mut self) -> Result<Option<Reply<Page<T>>>, ApiError> {
        let mut call = Call::new(self.operation).query(self.query.iter().cloned());
        match &self.next {
            Next::First => {}
            Next::At(cursor) => call = call.query([("cursor", cursor.clone())]),
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
pub fn joined<T: Listed>(pages: &[Bytes]) -> Result<String, serde_json::Error> {
    use serde_json::value::RawValue;
    use std::collections::BTreeMap;

    let mut items: Vec<&RawValue> = Vec::new();
    let mut read = Vec::with_capacity(pages.len());
    for page in pages {
        read.push(serde_json::from_slice::<BTreeMap<&str, &RawValue>>(page)?);
    }
    for page in &read {
        let list = page.get(T::KEY).map_or("[]", |raw| raw.get());
        items.extend(serde_json::from_str::<Vec<&RawValue>>(list)?);
    }
    let list = items.iter().map(|raw| raw.get()).collect::<Vec<_>>().join(",");
    let (key, count) = (T::KEY, items.len());
    Ok(format!(r#"{{"{key}":[{list}],"count":{count},"next_cursor":null,"has_more":false}}"#))
}
