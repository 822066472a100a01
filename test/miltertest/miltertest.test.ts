/**
 * OpenDKIM's miltertest, an MTA side we did not write, playing the scripts beside this file to our server.
 *
 * It takes a packet only when it arrives in one read, and dies of replies over 1 KiB.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startServer, type TestServer } from '../helpers/milter-server.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const SHARED = ['expect.lua', 'policy.lua'];

const found = spawnSync('miltertest', ['-V'], { encoding: 'utf8' });
const missing = found.error ? 'not run: needs miltertest (Debian: apt install miltertest)' : false;
if (missing && process.env.CI === 'true') throw new Error(missing);

describe('miltertest', { skip: missing, timeout: 60_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'miltertest-'));
  let server: TestServer;
  before(async () => {
    server = await startServer({ path: join(HERE, 'policy.lua') });
  });
  after(async () => {
    await server?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  for (const name of readdirSync(HERE).filter((file) => file.endsWith('.lua') && !SHARED.includes(file))) {
    test(name, async () => {
      // It has neither dofile for paths of ours nor arguments: one file holds all.
      const script = join(directory, name);
      writeFileSync(script, `${readFileSync(join(HERE, 'expect.lua'))}\n${readFileSync(join(HERE, name))}`);
      const child = spawn('miltertest', ['-D', `port=${server.port}`, '-s', script]);
      let output = '';
      child.stdout.on('data', (text) => {
        output += text;
      });
      child.stderr.on('data', (text) => {
        output += text;
      });
      const [code] = await once(child, 'close');
      const complaints = server.log.lines.filter((line) => /closed:|internal error|traceback/.test(line));
      assert.equal(code, 0, `${output}\n${complaints.join('\n')}`);
      assert.deepEqual(complaints, []);
      await server.whenIdle();
    });
  }
});
