// What does time travel show now? For the tests of it.
export const shownState = page => page.evaluate(() => {
  const out = {};
  for (const leaf of document.querySelectorAll('.tt-leaf:not(.removed)')) {
    const key = leaf.querySelector('.key').textContent;
    out[key] = (leaf.querySelector('ins') ?? leaf.querySelector('.tt-text > [class^=v-]')).textContent;
  }
  return out;
});
export const flat = (value, path = '') => Object.entries(value).flatMap(([key, inner]) => (inner !== null && typeof inner === 'object' && !Array.isArray(inner) ? flat(inner, `${path}${key}.`) : [[path + key, JSON.stringify(inner)]]));
export const at = (page, revision) => page.waitForFunction(wanted => document.querySelector('.tt-now strong')?.textContent === `#${wanted}` && document.querySelector('#tt-state')?.textContent.startsWith(`State after #${wanted} · `) && !document.querySelector('#tt-state').textContent.includes('loading'), String(revision));
