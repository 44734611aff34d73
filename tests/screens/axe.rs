//! Whether a page can be used by everybody, as far as a program can tell: axe-core, run in the page.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::page::Page;

const AXE: &str = "tests/browser/node_modules/axe-core/axe.min.js";
/// WCAG 2.2 at level AA, and what axe-core holds for good practice.
const TAGS: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const LOOK: &str = "
    const found = await axe.run(document, { runOnly: { type: 'tag', values: tags } });
    return found.violations.map(({ id, help, nodes }) =>
      `${id}: ${help}\\n` + nodes.map(({ html, failureSummary }) => `${html}\\n${failureSummary}`).join('\\n'));";

impl Page {
    /// Asserts that axe-core finds no violation on the page as it stands.
    pub async fn assert_accessible(&self, what: &str) {
        if self.run("typeof axe").await == "undefined" {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE);
            let axe = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{AXE}: {error}; npm ci in tests/browser"));
            self.call(&[], &axe, vec![]).await;
        }
        let found = self.call(&["tags"], LOOK, vec![json!(TAGS)]).await;
        let found: Vec<String> = serde_json::from_value(found).unwrap();
        assert!(found.is_empty(), "{what}:\n{}", found.join("\n\n"));
    }
}
