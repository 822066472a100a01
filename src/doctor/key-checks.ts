/** Whether the keys with which a policy signs are those that the DNS shows (RFC 6376 section 3.6). */
import { promises } from 'node:dns';
import { keyRecord, readSigningKey, stringsOf } from '../mail-auth/signing-key.ts';
import { readSecret } from '../system/secret-file.ts';
import { codeOf, systemReason } from '../text/operator-error.ts';
import { inDns } from './finding.ts';
import type { KeyUse } from './policy-facts.ts';
import type { Scene } from './scene.ts';

/** Asks for each key of auth.sign and auth.seal that stands in the policy with its domain, selector and file. */
export async function checkKeys(scene: Scene): Promise<void> {
  await Promise.all(scene.policy.keys.map((use) => checkKey(scene, use)));
}

async function checkKey(scene: Scene, { domain, selector, path, line }: KeyUse): Promise<void> {
  const { findings, policy, options } = scene;
  const where = `${policy.path}:${line}`;
  const record = recordOf(scene, where, path);
  if (record === undefined) return;
  const name = `${selector}._domainkey.${domain}`;
  const resolver = new promises.Resolver({ timeout: options.dnsTimeoutMs, tries: 1 });
  if (options.dnsServer.length > 0) resolver.setServers(options.dnsServer);
  let found: string[];
  try {
    found = (await resolver.resolveTxt(name)).map((strings) => strings.join(''));
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'ENOTFOUND' && code !== 'ENODATA') {
      findings.note(where, `whether the DNS shows the key of ${name} could not be found out (${code})`);
      return;
    }
    found = [];
  }
  if (found.some((text) => keyIn(text) === keyIn(record))) {
    findings.right(where, `${name} shows the key in ${path}`);
    return;
  }
  const strings = stringsOf(record)
    .map((text) => JSON.stringify(text))
    .join(' ');
  findings.add({
    id: 'key-not-in-dns',
    severity: 'error',
    where,
    problem:
      found.length === 0
        ? `the policy signs with ${path}, and the DNS has no record ${name}: its signatures fail`
        : `the policy signs with ${path}, and the record ${name} shows another key: its signatures fail`,
    mend: [inDns(`${name}. TXT ${strings}`)],
  });
}

/** The record that a key should have; undefined, and a finding, where the key is none. */
function recordOf({ findings }: Scene, where: string, path: string): string | undefined {
  let wrong: string;
  try {
    const read = readSigningKey(readSecret(path).toString('latin1'));
    if (!('wrong' in read)) return keyRecord(read.key);
    wrong = read.wrong;
  } catch (error) {
    if (codeOf(error) === 'EACCES') {
      findings.note(where, `the key ${path} cannot be read from here: run doctor as root`);
      return undefined;
    }
    wrong = `cannot be read: ${systemReason(error)}`;
  }
  findings.add({
    id: 'key-unusable',
    severity: 'error',
    where,
    problem: `the policy signs with ${path}, which ${wrong}`,
    mend: [],
  });
  return undefined;
}

/** What stands behind `p=`, without white space. */
function keyIn(record: string): string | undefined {
  return /(?:^|;)\s*p\s*=([^;]*)/.exec(record)?.[1]?.replace(/\s/g, '');
}
