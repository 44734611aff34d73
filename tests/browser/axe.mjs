// Whether a page can be used by everybody, as far as a program can tell: axe-core, run in the page.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

const AXE = new URL('./node_modules/axe-core/axe.min.js', import.meta.url);
/** WCAG 2.2 at level AA, and what axe-core holds for good practice. */
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Asserts that axe-core finds no violation on the page as it stands. */
export async function assertAccessible(page, what) {
  if (await page.run('typeof axe') === 'undefined') await page.run(`${await readFile(AXE, 'utf8')};0`);
  const violations = await page.call(async (tags) => {
    const found = await axe.run(document, { runOnly: { type: 'tag', values: tags } });
    return found.violations.map(({ id, help, nodes }) =>
      ({ id, help, where: nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`) }));
  }, TAGS);
  assert.deepEqual(violations, [], what);
}
