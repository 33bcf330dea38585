//! Cuts the bundles of a run into pages: what is sealed together, and opened together when one of its orders starts.

use proto::{
    codec::{CodecError, encode},
    orders::OrderBundle,
};

/// Longest page in the clear, unless a single order is longer.
const PAGE_BYTES: usize = 64 * 1024;

/// Pages, and the number of the first order in each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) starts: Vec<u32>,
    /// Each is the encoding of a `Vec<OrderBundle>`.
    pub(super) plain: Vec<Vec<u8>>,
}

/// The pages of the bundles, in their order. Each bundle is encoded once.
pub(super) fn pages(bundles: &[OrderBundle]) -> Result<Pages, CodecError> {
    let mut pages = Pages::default();
    for (number, bundle) in bundles.iter().enumerate() {
        let bundle = encode(bundle)?;
        match pages.plain.last_mut() {
            // With a comma before it and a bracket behind it.
            Some(page) if page.len() + bundle.len() + 2 <= PAGE_BYTES => {
                page.push(b',');
                page.extend_from_slice(&bundle);
            }
            Some(_) | None => {
                pages.starts.push(number as u32);
                pages.plain.push([b"[".as_slice(), &bundle].concat());
            }
        }
    }
    for page in &mut pages.plain {
        page.push(b']');
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{Secret, codec::decode, orders::CodeSource};
    use std::collections::BTreeMap;

    fn bundle(bytes: usize) -> OrderBundle {
        OrderBundle {
            run_key: Secret::new("k"),
            cmds: vec!["\"".repeat(bytes / 2)],
            env_vars: BTreeMap::new(),
            source: CodeSource::None,
            ssm_paths: Vec::new(),
            secret_manager_paths: Vec::new(),
            sops_key: None,
        }
    }

    #[test]
    fn a_page_is_what_the_codec_makes_of_its_bundles() {
        let bundles: Vec<_> = (0..500).map(|n| bundle(n * 7 % 3_000)).collect();
        let pages = pages(&bundles).unwrap();
        let ends = pages.starts.iter().skip(1).copied().chain([500]);
        for ((start, end), page) in pages.starts.iter().zip(ends).zip(&pages.plain) {
            assert_eq!(*page, encode(&bundles[*start as usize..end as usize].to_vec()).unwrap());
            assert!(page.len() <= PAGE_BYTES, "{}", page.len());
        }
        let total: usize = pages.plain.iter().map(Vec::len).sum();
        assert!(pages.plain.len() <= total / (PAGE_BYTES / 2), "no page is left half empty: {} of {total}", pages.plain.len());
    }

    #[test]
    fn an_order_that_is_longer_than_a_page_has_one_of_its_own() {
        let pages = pages(&[bundle(10), bundle(200_000), bundle(10), bundle(10)]).unwrap();
        assert_eq!(pages.starts, [0, 1, 2]);
        let lengths: Vec<_> = pages.plain.iter().map(|page| decode::<Vec<OrderBundle>>(page).unwrap().len()).collect();
        assert_eq!(lengths, [1, 1, 2]);
    }

    #[test]
    fn exactly_full_is_not_too_full() {
        let empty = encode(&bundle(0)).unwrap().len();
        let fill = PAGE_BYTES - 2 * empty - 3;
        for (bytes, count) in [(fill / 2 * 2, 1), (fill / 2 * 2 + 2, 2)] {
            // Each quote takes two bytes.
            let pages = pages(&[bundle(0), bundle(bytes)]).unwrap();
            assert_eq!(pages.plain.len(), count, "{bytes}");
        }
    }

    #[test]
    fn without_bundles_there_is_no_page() {
        assert_eq!(pages(&[]).unwrap(), Pages::default());
    }
}
