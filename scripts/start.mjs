/**
 * `npm start`: installs and builds what is missing, then runs the milter on the loopback address with an example policy,
 * logging to this terminal. `npm start -- --listen ...` overrides.
 *
 * The program runs in this process, so that a signal sent to it, or to npm, ends it in good order.
 */
import { join } from 'node:path';
import { onSupportedNode } from '../src/system/node-version.js';

onSupportedNode(async () => {
  const { buildIfNeeded, installIfNeeded, ROOT } = await import('./prepare.mjs');
  installIfNeeded();
  buildIfNeeded();

  // As environment variables these give way to options on the command line, and to variables that are set already.
  const standard = {
    SMTPF_MILTER_LISTEN: 'inet:8895@127.0.0.1',
    SMTPF_MILTER_SYSLOG: 'stderr',
    SMTPF_MILTER_SCRIPT: join(ROOT, 'examples', 'smtpf.lua'),
  };
  process.env = { ...standard, ...process.env };
  process.argv[1] = join(ROOT, 'dist', 'main.js');
  await import('../dist/main.js');
});
