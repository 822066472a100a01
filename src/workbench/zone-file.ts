/**
 * Reads a file of records that stand in the place of the DNS.
 *
 *     # name TYPE value
 *     example.com               MX    10 mx.example.com
 *     mx.example.com            A     192.0.2.25
 *     192.0.2.25                PTR   mx.example.com
 *     example.com               TXT   "v=spf1 mx -all"
 *     2.0.0.127.zen.example     A     127.0.0.2
 *     slow.example              A     timeout
 *     broken.example            MX    servfail
 *
 * Several lines for one question are several records. What is not in the file does not exist. In place of a value the
 * words timeout, servfail, refused, unavailable, protocol and limit are failures; a TXT record that is such a word is
 * written in quotes.
 */
import { isFailure } from '../asking/answer.ts';
import { Zone, type ZoneAnswer, ZoneError } from '../dns/zone.ts';

/**
 * @param text bytes in latin1
 * @param path for messages: the file's name
 * @throws ZoneError `file:line: what is wrong`
 */
export function parseZoneFile(text: string, path: string): Zone {
  const zone = new Zone();
  const answers = new Map<string, ZoneAnswer>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*([#;]|$)/.test(line)) continue;
    try {
      const { question, value } = parseLine(line);
      const answer = extended(answers.get(question), value);
      answers.set(question, answer);
      zone.set(question, answer);
    } catch (error) {
      if (!(error instanceof ZoneError)) throw error;
      throw new ZoneError(`${path}:${index + 1}: ${error.message}`);
    }
  }
  return zone;
}

function parseLine(line: string): { question: string; value: string } {
  const [, name, type, value] = /^\s*(\S+)\s+(\S+)\s+(.*?)\s*$/.exec(line) ?? [];
  if (name === undefined || type === undefined || value === undefined || value === '') {
    throw new ZoneError(`${JSON.stringify(line.trim())}: a name, a type and a value expected`);
  }
  return { question: `${name.toLowerCase()} ${type.toUpperCase()}`, value };
}

function extended(before: ZoneAnswer | undefined, value: string): ZoneAnswer {
  if (isFailure(value)) {
    if (before !== undefined) throw new ZoneError(`${value}: this question has an answer already`);
    return { failure: value };
  }
  if (before && 'failure' in before) throw new ZoneError(`this question has the answer ${before.failure}`);
  return { records: [...(before?.records ?? []), unquoted(value)] };
}

/** Character strings in quotes are joined, as in a zone file. */
function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  const strings = [...value.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, inner = '']) => inner);
  return strings.join('').replace(/\\(.)/g, '$1');
}
