/**
 * An imitated MTA's end of the milter connection: what the filter is told, with which macros, and when no more.
 */
import type { Command } from '../milter/command.ts';
import { decodeConnect } from '../milter/connect.ts';
import { SMFI, SMFIC, SMFIP } from '../milter/constants.ts';
import type { MtaKind } from './client-reply.ts';
import type { MailMessage } from './mail-message.ts';
import { addressText, type MacroFacts, type MacroStage, type MtaMacros } from './mta-macros.ts';
import { type FilterReply, type RunnerSettings, SessionRunner } from './session-runner.ts';

/** Bodies are cut as the MTAs cut them. */
const CHUNK_BYTES = 65_535;

const NOT_DUE: FilterReply = { reply: undefined, modifications: [] };

export class FilterLink {
  readonly #kind: MtaKind;
  readonly #runner: SessionRunner;
  readonly #macros: MtaMacros;
  /** Of the whole session. */
  #gone = false;

  constructor(kind: MtaKind, macros: MtaMacros, settings: RunnerSettings) {
    this.#kind = kind;
    this.#macros = macros;
    this.#runner = new SessionRunner(settings);
  }

  async negotiate(): Promise<void> {
    await this.#runner.say({
      kind: 'negotiate',
      version: SMFI.PROT_VERSION,
      actions: SMFI.CURR_ACTS,
      protocol: SMFI.CURR_PROT,
    });
    this.#macros.ask(this.#runner.symbols);
  }

  /** Tells of an event, unless the filter has declined such events. */
  async tell(command: Command): Promise<FilterReply> {
    const declined = (DECLINING[command.kind] ?? 0) & this.#runner.protocol;
    return declined !== 0 ? NOT_DUE : this.send(command);
  }

  async send(command: Command): Promise<FilterReply> {
    return this.#gone ? NOT_DUE : this.#runner.say(command);
  }

  /** Sendmail sends no packet where a stage after HELO has no macros; Postfix always sends one. */
  async macros(stage: number, list: MacroStage, facts: MacroFacts): Promise<void> {
    const pairs = this.#macros.pairs(list, facts);
    const always = this.#kind === 'postfix' || list === 'helo';
    if (pairs.length > 0 || always) await this.send({ kind: 'macro', stage, text: pairs.join('\0') });
  }

  /** Headers, body and end of a message; the first answer that decides it, or the last. */
  async content({ headers, body }: MailMessage, facts: MacroFacts): Promise<FilterReply> {
    const leadingSpace = (this.#runner.protocol & SMFIP.HDR_LEADSPC) !== 0;
    const postfix = this.#kind === 'postfix';
    for (const { name, value } of headers) {
      if (postfix) await this.macros(SMFIC.HEADER, 'endOfHeaders', facts);
      const shown = leadingSpace ? value : value.replace(/^ /, '');
      const answer = await this.tell({ kind: 'header', name, value: shown });
      if (isFinal(answer)) return answer;
    }
    await this.macros(SMFIC.EOH, 'endOfHeaders', facts);
    const end = await this.tell({ kind: 'endOfHeaders' });
    if (isFinal(end)) return end;
    for (let at = 0; at < body.length; at += CHUNK_BYTES) {
      if (postfix) await this.macros(SMFIC.BODY, 'endOfMessage', facts);
      const answer = await this.tell({ kind: 'body', bytes: body.subarray(at, at + CHUNK_BYTES) });
      if (answer.reply?.kind === 'skip') break;
      if (isFinal(answer)) return answer;
    }
    await this.macros(SMFIC.BODYEOB, 'endOfMessage', facts);
    return this.tell({ kind: 'endOfMessage', bytes: Buffer.alloc(0) });
  }

  /** Says nothing more, but keeps the filter until leave(). */
  fallSilent(): void {
    this.#gone = true;
  }

  /** The connection ends, and the filter's session with it. Harmless when repeated. */
  async leave(): Promise<void> {
    this.#gone = true;
    await this.#runner.end();
  }
}

/** Events that are not sent when the bit is agreed on. */
export const DECLINING: Partial<Record<Command['kind'], number>> = {
  connect: SMFIP.NOCONNECT,
  helo: SMFIP.NOHELO,
  mail: SMFIP.NOMAIL,
  rcpt: SMFIP.NORCPT,
  data: SMFIP.NODATA,
  header: SMFIP.NOHDRS,
  endOfHeaders: SMFIP.NOEOH,
  body: SMFIP.NOBODY,
  unknown: SMFIP.NOUNKNOWN,
};

function isFinal({ reply }: FilterReply): boolean {
  return reply !== undefined && reply.kind !== 'continue' && reply.kind !== 'skip';
}

/**
 * CONNECT as the MTA would write it, read as the milter reads it.
 * @param ip an address, the path of a unix socket, or '' where the MTA knows none
 * @param ptr verified name; '' for none
 */
export function connectCommand(kind: MtaKind, ip: string, ptr: string, port: number): Command {
  const address = addressText(kind, ip);
  if (ip === '') return decodeConnect(Buffer.from(`${ptr || 'localhost'}\0U`, 'latin1'));
  if (ip.startsWith('/')) return decodeConnect(Buffer.from(`${ptr || 'localhost'}\0L\0\0${ip}\0`, 'latin1'));
  const head = Buffer.from(`${ptr || `[${address}]`}\0${ip.includes(':') ? '6' : '4'}`, 'latin1');
  const wirePort = Buffer.from([(port >> 8) & 0xff, port & 0xff]);
  return decodeConnect(Buffer.concat([head, wirePort, Buffer.from(`${address}\0`, 'latin1')]));
}
