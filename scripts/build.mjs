/** `npm run build`: compiles src to dist. */
import { onSupportedNode } from '../src/system/node-version.js';

onSupportedNode(async () => {
  const { build } = await import('./prepare.mjs');
  build();
});
