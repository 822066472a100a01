/** The suite of one mail server: started once, all cases over both transports, and at the end nothing left over. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort, hasIPv6 } from '../helpers/loopback.ts';
import { CHANGES } from './cases/changes.ts';
import { CLIENTS } from './cases/clients.ts';
import { CONTENT } from './cases/content.ts';
import { EXAMPLE_CASES } from './cases/examples.ts';
import { HANDED_TEXTS } from './cases/handed-texts.ts';
import { PARTS } from './cases/parts.ts';
import { REPLY_TEXTS } from './cases/reply-texts.ts';
import { SCRIPT_FAULTS } from './cases/script-faults.ts';
import { TRANSACTIONS } from './cases/transactions.ts';
import { VERDICTS } from './cases/verdicts.ts';
import { until } from './deadline.ts';
import type { MailCase } from './mail-case.ts';
import {
  type MailServer,
  type MilterAddress,
  type MtaName,
  makeServerDirectory,
  removeServerDirectory,
  TRANSPORTS,
} from './mail-server.ts';
import { Milter, type OnError, writePolicy } from './milter.ts';
import { restartUnderLoad } from './restart-under-load.ts';
import { runCase } from './run-case.ts';
import { SmtpSink } from './smtp-sink.ts';

const CASES: readonly MailCase[] = [
  ...TRANSACTIONS,
  ...CLIENTS,
  ...VERDICTS,
  ...CONTENT,
  ...CHANGES,
  ...PARTS,
  ...HANDED_TEXTS,
  ...REPLY_TEXTS,
  ...SCRIPT_FAULTS,
  ...EXAMPLE_CASES,
];

const IN_CI = process.env.CI === 'true';

export interface Suite {
  readonly name: MtaName;
  /** Why the mail server cannot be had here, in one line. */
  readonly unavailable: string | undefined;
  start(milter: MilterAddress, sinkPort: number): Promise<MailServer>;
  /** Cases that only this mail server can run. */
  readonly cases: readonly MailCase[];
}

export function defineSuite({ name, unavailable, start, cases }: Suite): void {
  if (unavailable) {
    test(`${name}: real mail server`, { skip: IN_CI ? false : unavailable }, () => assert.fail(unavailable));
    if (!IN_CI) console.log(`not run: the cases with a real ${name}. ${unavailable}`);
    return;
  }
  describe(`${name}: real mail server`, () => {
    const setup = new MtaSetup(name);
    before(() => setup.open(start));
    after(() => setup.close());

    const byOnError = new Map<OnError, MailCase[]>();
    for (const mailCase of [...CASES, ...cases]) {
      const onError = mailCase.onError ?? 'continue';
      byOnError.set(onError, [...(byOnError.get(onError) ?? []), mailCase]);
    }
    for (const [onError, group] of byOnError) {
      describe(`--on-error ${onError}`, () => {
        before(() => setup.startMilter(onError));
        after(() => setup.stopMilter());
        for (const mailCase of group) defineCase(setup, mailCase);
      });
    }
    for (const transport of TRANSPORTS) {
      test(`milter restarted under load, over ${transport}`, () =>
        restartUnderLoad(setup, transport, () => setup.stopMilter()));
      test(`milter killed under load, over ${transport}`, () =>
        restartUnderLoad(setup, transport, () => setup.killMilter()));
    }
    test('nothing is queued, and nothing arrived that no case expected', () => setup.expectNothingLeft());
  });
}

function defineCase(setup: MtaSetup, mailCase: MailCase): void {
  for (const transport of mailCase.transports ?? TRANSPORTS) {
    const skip = mailCase.ipv6 && !hasIPv6() && !IN_CI ? 'this machine has no ::1' : false;
    test(`${mailCase.name}, over ${transport}`, { skip }, () =>
      runCase(setup.running(), mailCase, transport),
    );
  }
}

/** What the cases of a suite share: the mail server, the sink, and our server, which is started anew for some of them. */
export class MtaSetup {
  readonly #name: MtaName;
  readonly #policies = mkdtempSync(join(tmpdir(), 'smtpf-milter-policy-'));
  readonly #spool = mkdtempSync(join(tmpdir(), 'smtpf-milter-spool-'));
  #milterDirectory = '';
  #address: MilterAddress | undefined;
  #server: MailServer | undefined;
  #sink: SmtpSink | undefined;
  #milter: Milter | undefined;

  constructor(name: MtaName) {
    this.#name = name;
  }

  get script(): string {
    return join(this.#policies, 'policy.lua');
  }

  async open(start: Suite['start']): Promise<void> {
    this.#milterDirectory = makeServerDirectory(this.#name);
    this.#address = { tcpPort: await freePort(), unixPath: join(this.#milterDirectory, 'milter') };
    this.#sink = await SmtpSink.start();
    this.#server = await start(this.#address, this.#sink.port);
  }

  async startMilter(onError: OnError, lua = '', workers = 1, args: readonly string[] = []): Promise<void> {
    assert.ok(this.#address);
    writePolicy(this.script, lua);
    const leftBehind = this.#messageFiles();
    this.#milter = await Milter.start({
      at: this.#address,
      script: this.script,
      spool: this.#spool,
      onError,
      workers,
      args,
    });
    const kept = this.#messageFiles().filter((name) => leftBehind.includes(name));
    assert.deepEqual(kept, [], 'files of a killed milter are swept at start');
  }

  async stopMilter(): Promise<void> {
    const milter = this.#milter;
    this.#milter = undefined;
    if (!milter) return;
    await milter.stop();
    assert.deepEqual(this.#messageFiles(), [], 'no message file outlives its callback');
  }

  /** What lies in the spool, but for the store of a policy that keeps something. */
  #messageFiles(): string[] {
    return readdirSync(this.#spool).filter((name) => name !== 'store');
  }

  async killMilter(): Promise<void> {
    await this.#milter?.kill();
    this.#milter = undefined;
  }

  running(): { server: MailServer; milter: Milter; sink: SmtpSink; script: string } {
    const { server, sink } = this.started();
    assert.ok(this.#milter, 'the milter runs');
    return { server, sink, milter: this.#milter, script: this.script };
  }

  started(): { server: MailServer; sink: SmtpSink } {
    assert.ok(this.#server && this.#sink, 'the mail server runs');
    return { server: this.#server, sink: this.#sink };
  }

  async expectNothingLeft(): Promise<void> {
    const { server, sink } = this.started();
    await until(
      () => (server.queued().length === 0 ? true : undefined),
      () => `the queue is empty: ${server.queued().join(' ')}\n${server.log()}`,
    );
    assert.deepEqual(sink.unclaimed, []);
  }

  async close(): Promise<void> {
    await this.stopMilter();
    await this.#server?.stop();
    await this.#sink?.stop();
    removeServerDirectory(this.#milterDirectory);
    rmSync(this.#policies, { recursive: true, force: true });
    rmSync(this.#spool, { recursive: true, force: true });
  }
}
