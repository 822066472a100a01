/** Another implementation of DKIM and ARC: dkimpy. */
import { execFileSync } from 'node:child_process';

/** Debian's own, whichever comes first in PATH: its modules are there. */
const PYTHON = '/usr/bin/python3';

/**
 * Runs a script of Python with dkimpy.
 * @param input what the script has as `input`; bytes are in base64
 * @returns what it printed, as JSON
 */
export function withDkimpy<Result>(script: string, input: unknown): Result {
  const prelude = 'import sys, json, base64, hashlib, dkim\ninput = json.load(sys.stdin)\n';
  const output = execFileSync(PYTHON, ['-c', prelude + script], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    timeout: 120_000,
  });
  return JSON.parse(output) as Result;
}

/** Gives keys to dkimpy in the place of the DNS. */
export const KEYS_OF_INPUT = `
keys = {name.encode(): value.encode() for name, value in input['keys'].items()}
def dnsfunc(name, timeout=5):
    return keys.get(name.rstrip(b'.'))
`;
