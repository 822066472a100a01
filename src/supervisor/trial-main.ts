/** Where a process starts that has an edited policy on trial. */
import { onSupportedNode } from '../system/node-version.js';

onSupportedNode(() => import('./trial-process.ts'));
