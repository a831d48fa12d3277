//! The comment above a node: for a reader often the only word on why it is there.

use super::Node;

impl Node<'_> {
    /// The comment in the lines right above the node, in one line. None for an alias, or where
    /// something else than the dash of a list stands before the node on its line.
    #[must_use]
    pub fn comment_above(self) -> Option<String> {
        if self.is_alias() {
            return None;
        }
        let before = self.tree.text.get(..self.span().start)?;
        let mut lines = before.split('\n').rev();
        let is_first_of_line = |c: char| c.is_whitespace() || c == '-';
        if !lines.next()?.chars().all(is_first_of_line) {
            return None;
        }
        let mut words: Vec<&str> = lines
            .map_while(|line| line.trim().strip_prefix('#').map(str::trim))
            .filter(|line| !line.is_empty())
            .collect();
        words.reverse();
        if words.is_empty() {
            None
        } else {
            Some(words.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::yaml::{Paths, Tree};

    #[test]
    fn the_lines_right_above_are_the_comment() {
        let text = "# Of the file.\n\nlist:\n# One\n# more.\n- a: 1\n- {b: 2}\n# Flow.\n- {c: 3}\n\
                    # Not of d.\nflow: [{d: 4}]\n";
        let tree = Tree::parse(text).unwrap();
        let mut paths = Paths::new(tree.root().unwrap());
        let cases = [
            ("list[0]", Some("One more.")),
            ("list[1]", None),
            ("list[2]", Some("Flow.")),
            ("flow[0]", None),
        ];
        for (path, comment) in cases {
            let found = paths.find(path).unwrap().comment_above();
            assert_eq!(found.as_deref(), comment, "{path}");
        }
    }
}
