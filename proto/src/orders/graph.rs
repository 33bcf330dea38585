//! The orders of a run and what each needs, packed. A graph travels in the run's trigger and stands in the first entry of
//! its log, so ten thousand orders must fit into one NATS message (1 MiB): as JSON they would not, deflated they do.

use crate::{JobNo, PoolName};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use std::io::{self, Read as _, Write as _};

/// Largest packed graph, in characters: with everything around it below one NATS message.
const MAX_PACKED: usize = 640 * 1024;
/// Largest unpacked graph, in bytes. What packs a thousand to one is not unpacked.
const MAX_UNPACKED: u64 = 16 * 1024 * 1024;

/// One order as the scheduler needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderNode {
    pub name: String,
    /// Orders that must be over (and, with `must_succeed`, have succeeded) first.
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<JobNo>,
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// In seconds.
    #[serde(rename = "t")]
    pub timeout_s: u32,
    #[serde(rename = "p")]
    pub pool: PoolName,
}

/// Why a graph cannot travel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGraph {
    #[error(
        "the graph of orders is {0} bytes packed, more than the {MAX_PACKED} that fit into one message: use shorter names or fewer orders"
    )]
    TooLarge(usize),
    #[error("the packed graph cannot be read: {0}")]
    Unreadable(String),
}

/// The orders of a run, in the order they were given in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph(pub Vec<OrderNode>);

impl Graph {
    /// Whether there is no order.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The packed text.
    pub fn pack(&self) -> Result<String, BadGraph> {
        let unreadable = |error: io::Error| BadGraph::Unreadable(error.to_string());
        let json = serde_json::to_vec(&self.0).map_err(|error| BadGraph::Unreadable(error.to_string()))?;
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(&json).map_err(unreadable)?;
        let packed = STANDARD.encode(deflate.finish().map_err(unreadable)?);
        if packed.len() > MAX_PACKED { Err(BadGraph::TooLarge(packed.len())) } else { Ok(packed) }
    }

    /// The graph in a packed text.
    pub fn unpack(packed: &str) -> Result<Self, BadGraph> {
        if packed.len() > MAX_PACKED {
            return Err(BadGraph::TooLarge(packed.len()));
        }
        let deflated = STANDARD.decode(packed).map_err(|error| BadGraph::Unreadable(error.to_string()))?;
        let mut json = Vec::new();
        DeflateDecoder::new(deflated.as_slice())
            .take(MAX_UNPACKED + 1)
            .read_to_end(&mut json)
            .map_err(|error| BadGraph::Unreadable(error.to_string()))?;
        if json.len() as u64 > MAX_UNPACKED {
            return Err(BadGraph::Unreadable(format!("more than {MAX_UNPACKED} bytes come out of it")));
        }
        serde_json::from_slice(&json).map(Self).map_err(|error| BadGraph::Unreadable(error.to_string()))
    }
}

impl Serialize for Graph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_str("");
        }
        serializer.serialize_str(&self.pack().map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Graph {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let packed = String::deserialize(deserializer)?;
        if packed.is_empty() { Ok(Self::default()) } else { Self::unpack(&packed).map_err(D::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(count: u32) -> Graph {
        let node = |n: u32| OrderNode {
            name: format!("module-{n}-of-the-landing-zone"),
            needs: (1..=3).filter_map(|back| n.checked_sub(back * 7)).map(JobNo).collect(),
            optional: n.is_multiple_of(5),
            timeout_s: 600 + n % 11,
            pool: PoolName::default(),
        };
        Graph((0..count).map(node).collect())
    }

    #[test]
    fn ten_thousand_orders_fit_into_a_quarter_of_a_message() {
        let packed = graph(10_000).pack().unwrap();
        assert!(packed.len() < 256 * 1024, "{} bytes", packed.len());
        assert_eq!(Graph::unpack(&packed).unwrap(), graph(10_000));
    }

    #[test]
    fn a_graph_travels_as_json() {
        for count in [0, 1, 50] {
            let text = serde_json::to_string(&graph(count)).unwrap();
            assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph(count));
        }
    }

    #[test]
    fn what_is_not_a_graph_or_too_large_is_refused() {
        let mut noise = 1_u64;
        let mut name = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{noise:016x}{:016x}", noise.rotate_left(17) ^ 0x5bd1_e995)
        };
        let huge = Graph((0..60_000).map(|_| OrderNode { name: name(), ..graph(1).0[0].clone() }).collect());
        assert!(matches!(huge.pack(), Err(BadGraph::TooLarge(_))), "it would not fit into a message");
        for bad in ["%", "AAAA", &STANDARD.encode("[]")] {
            assert!(matches!(Graph::unpack(bad), Err(BadGraph::Unreadable(_))), "{bad}");
        }
        let mut bomb = DeflateEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![b' '; MAX_UNPACKED as usize + 2]).unwrap();
        assert!(matches!(Graph::unpack(&STANDARD.encode(bomb.finish().unwrap())), Err(BadGraph::Unreadable(_))));
    }
}
