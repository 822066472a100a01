/** `npm run package:deb`: see package/build.mjs. */
import { onSupportedNode } from '../src/system/node-version.js';

onSupportedNode(() => import('./package/build.mjs'));
