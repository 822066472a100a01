/** `smtpf-milter key`: makes a key that signs mail, and prints what to put into the DNS. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { signingDomain, signingSelector } from '../mail-auth/dkim-sign.ts';
import { LEAST_RSA_BITS, MOST_RSA_BITS, makeSigningKey, stringsOf } from '../mail-auth/signing-key.ts';
import { oneOf, wholeNumber } from '../options/option-values.ts';
import { BadValue } from '../text/bad-value.ts';
import { codeOf, EXIT, OperatorError, systemReason } from '../text/operator-error.ts';
import { visibleText } from '../text/visible.ts';

/** As the command line has them. */
export interface KeyRequest {
  readonly domain?: string;
  readonly selector?: string;
  readonly type?: string;
  readonly bits?: string;
  readonly out?: string;
}

const TYPES = ['rsa', 'ed25519'] as const;
/** Of a domain name as text (RFC 1035 section 2.3.4). */
const MAX_NAME = 253;

/** @returns the exit code. @throws OperatorError, and then there is no file that was not there before */
export function key(request: KeyRequest, { json }: { readonly json: boolean }): number {
  const domain = read(
    'domain',
    request.domain,
    (text) => signingDomain(text),
    'must be a domain, such as example.com',
  );
  const selector = read(
    'selector',
    request.selector,
    (text) => signingSelector(text),
    'must be labels of letters, digits, - and _, with dots between',
  );
  const name = `${selector}._domainkey.${domain}`;
  if (name.length > MAX_NAME)
    throw new OperatorError(`--selector and --domain: ${name} is longer than a name in the DNS`, EXIT.usage);
  const type = read('type', request.type ?? 'rsa', oneOf(TYPES));
  if (type !== 'rsa' && request.bits !== undefined)
    throw new OperatorError(`--bits: a key of type ${type} has no choice of length`, EXIT.usage);
  const bits =
    request.bits === undefined
      ? undefined
      : read('bits', request.bits, wholeNumber(LEAST_RSA_BITS, MOST_RSA_BITS));
  const file = read(
    'out',
    request.out ?? `${domain}.${selector}.pem`,
    (text) => text || undefined,
    'must not be empty',
  );
  const { pem, record } = makeSigningKey(type, bits);
  writeKey(file, pem);
  const strings = stringsOf(record);
  process.stdout.write(
    json
      ? `${JSON.stringify({ file, domain, selector, type, name, record, strings }, undefined, 2)}\n`
      : keyText(file, name, record, strings),
  );
  return EXIT.ok;
}

function read<Value>(
  option: string,
  text: string | undefined,
  reader: (text: string) => Value | undefined,
  wanted = '',
): Value {
  if (text === undefined) throw new OperatorError(`key: --${option} must be given`, EXIT.usage);
  const complain = (complaint: string) =>
    new OperatorError(`--${option}: ${JSON.stringify(text)} ${complaint}`, EXIT.usage);
  try {
    const value = reader(text);
    if (value !== undefined) return value;
  } catch (error) {
    throw error instanceof BadValue ? complain(error.message) : error;
  }
  throw complain(wanted);
}

/** A key is on the disk, all of it, before its record is shown. */
function writeKey(file: string, pem: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'wx', 0o600);
  } catch (error) {
    const reason =
      codeOf(error) === 'EEXIST' ? 'is there already, and may be in use: name another' : systemReason(error);
    throw new OperatorError(`--out ${file}: ${reason}`, EXIT.cannotCreate);
  }
  try {
    writeSync(descriptor, pem);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(file, { force: true });
    throw new OperatorError(`--out ${file}: ${systemReason(error)}`, EXIT.cannotCreate);
  } finally {
    closeSync(descriptor);
  }
}

function keyText(file: string, name: string, record: string, strings: readonly string[]): string {
  return `Private key: ${visibleText(file)} (for its owner alone)

For a zone file (BIND, nsd, Knot):

${name}. IN TXT ( ${strings.map((string) => `"${string}"`).join('\n  ')} )

For a form: a record of type TXT

name:  ${name}
value: ${record}
`;
}
