/** Another implementation of DKIM: OpenDKIM's filter, in the mode that reads messages from files. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param directory where it finds its settings and messages
 * @param messages in latin1
 * @returns the value of the header that it would put in front, of each message
 */
export function opendkim(
  directory: string,
  settings: Readonly<Record<string, string>>,
  messages: readonly string[],
): string[] {
  const conf = join(directory, 'opendkim.conf');
  const all = { Syslog: 'no', UserID: 'root', AuthservID: 'x.example', ...settings };
  const lines = Object.entries(all).map(([key, value]) => `${key} ${value}\n`);
  writeFileSync(conf, lines.join(''));
  return messages.map((text, i) => {
    const file = join(directory, `message-${i}`);
    writeFileSync(file, text, 'latin1');
    const { stdout, stderr, error } = spawnSync('opendkim', ['-x', conf, '-t', file, '-v', '-v'], {
      encoding: 'latin1',
      timeout: 60_000,
    });
    if (error !== undefined) throw error;
    const [, value] = /INSHEADER: idx=\d+ hname='[^']*' hvalue='([^']*)'/.exec(stdout) ?? [];
    assert.ok(value !== undefined, stdout + stderr);
    return value;
  });
}
