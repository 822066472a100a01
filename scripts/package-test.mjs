/** `npm run package:test`: see package/try.mjs. */
import { onSupportedNode } from '../src/system/node-version.js';

onSupportedNode(() => import('./package/try.mjs'));
