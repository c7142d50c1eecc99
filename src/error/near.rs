//! Names that a mistyped one may have been meant to be.

/// The longest name of a file. A longer word is near none: comparing costs its
/// length times that of each name.
pub const LONGEST_NAME: usize = 255;

/// At most three of `names` that `word` may have been meant to be, the nearest
/// first: those that a quarter of its letters make, and those of which it is a
/// whole part between dashes.
pub fn near<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    if word.len() > LONGEST_NAME {
        return Vec::new();
    }
    let allowed = word.chars().count().div_ceil(4).max(1);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|candidate| {
            let distance = edit_distance(word, candidate);
            let part = word.len() >= 4 && candidate.split('-').any(|part| part == word);
            if distance <= allowed {
                Some((distance, candidate))
            } else {
                part.then_some((allowed.saturating_add(1), candidate))
            }
        })
        .collect();
    near.sort_unstable();
    let nearest = near.into_iter().take(3);
    nearest.map(|(_, name)| name.to_owned()).collect()
}

/// Levenshtein's distance, with a swap of neighbours as one edit.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "there is a row more than `left` has letters, a place more in each than \
              `right` has, and no number above both lengths together"
)]
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (i, from) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in right.iter().enumerate() {
            let mut cost = (rows[i][j] + usize::from(from != to))
                .min(rows[i][j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *from == right[j - 1] && left[i - 1] == *to {
                cost = cost.min(rows[i - 1][j - 1] + 1);
            }
            row.push(cost);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_are_missing_swapped_or_too_many() {
        let names = ["image-size", "image-cache", "mkfs-options", "cache"];
        let near = |word: &str| near(word, names.into_iter());
        assert_eq!(near("imagesize"), ["image-size"]);
        assert_eq!(near("imgae-size"), ["image-size"]);
        assert_eq!(near("cache"), ["cache", "image-cache"]);
        assert!(near("").is_empty());
        assert!(near("entirely-different").is_empty());
    }
}
