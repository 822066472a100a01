/** A policy that looks into messages, over a milter connection. */
import type { TestContext } from 'node:test';
import { startServer } from '../../helpers/milter-server.ts';
import { Mta, type Reply } from '../../helpers/mta.ts';

const CHUNK = 65_535;

/** Headers as the MTA sends them, and the body, of a message with CR LF. */
function divided(message: Buffer): { headers: [string, string][]; body: Buffer } {
  const end = message.indexOf('\r\n\r\n');
  const head = message.toString('latin1', 0, end).replace(/\r\n(?=[ \t])/g, '\n');
  const headers = head.split('\r\n').map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1)];
  });
  return { headers, body: message.subarray(end + 4) };
}

export class Policy {
  readonly #mta: Mta;
  readonly #lines: () => readonly string[];

  private constructor(mta: Mta, lines: () => readonly string[]) {
    this.#mta = mta;
    this.#lines = lines;
  }

  /** @param source Lua; `show(value)` in it puts a value into what `look` gives */
  static async open(
    t: TestContext,
    source: string,
    options: Readonly<Record<string, string>> = {},
  ): Promise<Policy> {
    const show = 'local function show(v) syslog.info("shown " .. base64.encode(json.encode(v))) end ';
    const server = await startServer({ source: show + source }, { 'on-error': 'tempfail', ...options });
    t.after(() => server.close());
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    t.after(() => mta.quit());
    return new Policy(mta, () => server.log.lines);
  }

  async send(message: Buffer | string): Promise<Reply> {
    await this.#mta.mail('<a@b.example>');
    await this.#mta.rcpt('<c@d.example>');
    return sendMessage(this.#mta, message);
  }

  /** The reply, what the policy has shown of the message, and errors in the log. */
  async look(message: Buffer | string): Promise<{ reply: Reply; shown: unknown[]; errors: string[] }> {
    const before = this.#lines().length;
    const reply = await this.send(message);
    const lines = this.#lines().slice(before);
    return {
      reply,
      shown: lines.flatMap((line) => {
        const [, text] = /shown (\S+)/.exec(line) ?? [];
        return text === undefined ? [] : [JSON.parse(Buffer.from(text, 'base64').toString())];
      }),
      errors: lines.filter((line) => / smtp\.do_/.test(line)),
    };
  }
}

/** The reply to a message, in a transaction of which it is the content. @param message may have bare LFs where it is text */
export async function sendMessage(mta: Mta, message: Buffer | string): Promise<Reply> {
  const text = typeof message === 'string' ? message.replace(/\r?\n/g, '\r\n') : message;
  const { headers, body } = divided(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; at += CHUNK) chunks.push(body.subarray(at, at + CHUNK));
  return mta.content(headers, ...chunks);
}

/** A message with parts, each a text with headers of its own. */
export function multipart(...parts: readonly string[]): string {
  const all = parts.map((part) => `--=_b\n${part}\n`).join('');
  return `Subject: hi\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=_b"\n\n${all}--=_b--\n`;
}
