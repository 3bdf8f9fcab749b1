//! Many doubly linked lists over the same small, dense slots: a slot stands in one list at most.
//!
//! Everything costs the same however long the lists are, and nothing is allocated while no new slot appears.

/// No slot.
const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
}

/// The lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    heads: Vec<u32>,
    links: Vec<Link>,
}

impl Lists {
    /// Puts a slot that is in no list at the head of this one.
    pub(super) fn insert(&mut self, list: usize, slot: u32) {
        if list >= self.heads.len() {
            self.heads.resize(list + 1, NOWHERE);
        }
        let at = slot as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, Link { previous: NOWHERE, next: NOWHERE });
        }
        let next = std::mem::replace(&mut self.heads[list], slot);
        self.links[at] = Link { previous: NOWHERE, next };
        if let Some(link) = self.links.get_mut(next as usize) {
            link.previous = slot;
        }
    }

    /// Takes a slot out of the list that it is in.
    pub(super) fn remove(&mut self, list: usize, slot: u32) {
        let Link { previous, next } = self.links[slot as usize];
        match self.links.get_mut(previous as usize) {
            Some(link) => link.next = next,
            None => self.heads[list] = next,
        }
        if let Some(link) = self.links.get_mut(next as usize) {
            link.previous = previous;
        }
    }

    /// The head of a list.
    pub(super) fn first(&self, list: usize) -> Option<u32> {
        self.heads.get(list).copied().filter(|&slot| slot != NOWHERE)
    }

    /// The slots of a list, the last one that was put in first.
    pub(super) fn iter(&self, list: usize) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.first(list), |&slot| {
            Some(self.links[slot as usize].next).filter(|&next| next != NOWHERE)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agree_with_plain_vectors(steps in proptest::collection::vec((0_usize..4, 0_u32..12), 0..200)) {
            let mut lists = Lists::default();
            let mut model: Vec<Vec<u32>> = vec![Vec::new(); 4];
            for (list, slot) in steps {
                if let Some(home) = model.iter().position(|slots| slots.contains(&slot)) {
                    lists.remove(home, slot);
                    model[home].retain(|&other| other != slot);
                } else {
                    lists.insert(list, slot);
                    model[list].insert(0, slot);
                }
                for (list, slots) in model.iter().enumerate() {
                    prop_assert_eq!(&lists.iter(list).collect::<Vec<_>>(), slots);
                    prop_assert_eq!(lists.first(list), slots.first().copied());
                }
            }
        }
    }
}
