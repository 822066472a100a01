/** The start of a process that replays sessions: see worker.ts. */
import { onSupportedNode } from '../system/node-version.js';

onSupportedNode(() => import('./worker.ts'));
