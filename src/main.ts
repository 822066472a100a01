#!/usr/bin/env node
/** Where the program starts: an old Node.js gets an answer before it reads what it cannot understand. */
import { onSupportedNode } from './system/node-version.js';

onSupportedNode(() => import('./commands/command-line.ts'));
