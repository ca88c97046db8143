import { html } from '../core.js';
import { Page } from '../widgets.js';

function Screen() {
  return html`<${Page} title="Overview" sentence="Soon." />`;
}
export default { title: 'Overview', Screen };
