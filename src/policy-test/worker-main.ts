/** Where a process that runs test files starts. */
import { onSupportedNode } from '../system/node-version.js';

onSupportedNode(() => import('./worker.ts'));
