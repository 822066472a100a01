/** Where a worker process starts. */
import { onSupportedNode } from '../system/node-version.js';

onSupportedNode(() => import('./worker.ts'));
