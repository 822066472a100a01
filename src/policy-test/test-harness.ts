/**
 * What one test file works on: its cases, the world and the sessions of the case that runs, the policy under test.
 */
import { mkdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { LineWatcher } from '../lua/context/line-hook.ts';
import type { Surroundings } from '../lua/engine/surroundings.ts';
import { type CurrentScript, ScriptFile } from '../lua/script/script-file.ts';
import type { PolicyFactory } from '../milter/policy.ts';
import type { Options } from '../options/option-table.ts';
import { packagePathOf } from '../options/options.ts';
import type { OnError } from '../policy/policy-settings.ts';
import { openPolicySource } from '../policy/policy-source.ts';
import { Logger } from '../syslog/log.ts';
import { StderrSink } from '../syslog/stderr-sink.ts';
import type { MtaKind } from '../workbench/client-reply.ts';
import type { SmtpClient } from '../workbench/imitated-mta.ts';
import type { Recording } from './recording.ts';
import { PolicyError, type TestObserver, TestSession } from './test-session.ts';
import { World } from './world.ts';

export interface SessionSpec {
  readonly mta: MtaKind;
  readonly client: SmtpClient;
  /** What --on-error would be: errors of the policy are part of the test then. */
  readonly onError: OnError | undefined;
}

export class TestHarness {
  /** Path of the test file as the operator named it. */
  readonly path: string;
  /** Files that the outcome depends on besides the test file: absolute paths. */
  readonly dependencies = new Set<string>();
  /** Of the case that runs; outside of one, what each case begins with. */
  world = new World();
  /** Of the case that runs. */
  sessions: TestSession[] = [];
  /** What the test has printed. */
  printed: string[] = [];
  readonly #options: Options;
  readonly #lineWatcher: LineWatcher | undefined;
  readonly #recording: Recording;
  readonly #scripts = new Map<string, ScriptFile>();
  #policy: string;
  #start: { readonly world: World; readonly policy: string } | undefined;

  constructor(path: string, options: Options, lineWatcher: LineWatcher | undefined, recording: Recording) {
    this.path = path;
    this.#recording = recording;
    this.#options = options;
    this.#lineWatcher = lineWatcher;
    this.#policy = join(dirname(path), basename(path).replace(/_test\.lua$/, '.lua'));
  }

  /** Path of the policy under test. */
  get policy(): string {
    return this.#policy;
  }

  /** @param path relative to the test file, or absolute */
  setPolicy(path: string): void {
    this.#policy = isAbsolute(path) ? path : join(dirname(this.path), path);
  }

  get inCase(): boolean {
    return this.#start !== undefined;
  }

  /** The policy under test, or what keeps it from being compiled. */
  script(): CurrentScript {
    return this.#file().current();
  }

  beginCase(): void {
    this.#start = { world: this.world, policy: this.#policy };
    this.world = this.world.copy();
    this.sessions = [];
    this.printed = [];
  }

  /** Ends the sessions that are open. @throws PolicyError when smtp.close fails in one */
  async endCase(): Promise<void> {
    let problem: unknown;
    for (const session of this.sessions) {
      try {
        await session.drop();
      } catch (error) {
        problem ??= error;
      }
    }
    this.world.end();
    if (this.#start) {
      this.world = this.#start.world;
      this.#policy = this.#start.policy;
      this.#start = undefined;
    }
    if (problem !== undefined) throw problem;
  }

  /** @throws PolicyError when the policy under test cannot be compiled */
  openSession({ mta, client, onError }: SessionSpec): TestSession {
    const { failure } = this.script();
    if (failure) throw new PolicyError(failure.message);
    const id = `s${this.sessions.length + 1}`;
    const session = new TestSession({
      mta,
      client,
      id,
      policies: (observer) => this.#policies(observer, id, onError ?? 'continue'),
      now: () => new Date(this.world.now()),
      allowsErrors: onError !== undefined,
    });
    this.sessions.push(session);
    return session;
  }

  /** What Lua asks of a world, the one that holds at the time of a call. The outcome depends on the files that it loads. */
  surroundingsIn(world: () => World): Surroundings {
    return {
      now: () => world().now(),
      env: (name) => world().env(name),
      locate: (path) => world().locate(path),
      loaded: (_, path) => this.dependencies.add(resolve(path)),
    };
  }

  #file(): ScriptFile {
    this.dependencies.add(resolve(this.#policy));
    const known = this.#scripts.get(this.#policy);
    if (known) return known;
    const script = new ScriptFile(this.#policy);
    this.#scripts.set(this.#policy, script);
    return script;
  }

  #policies(observer: TestObserver, id: string, onError: OnError): PolicyFactory {
    const { world } = this;
    const options = { ...this.#options, script: this.#policy, onError };
    const spool = join(world.directory(), 'spool', id);
    mkdirSync(spool, { recursive: true, mode: 0o700 });
    const source = openPolicySource({
      options: { ...options, packagePath: packagePathOf({ ...options, script: resolve(this.#policy) }) },
      log: new Logger(observer.programSink, 'debug'),
      spool,
      services: this.#recording.over(world.services({ log: observer.sink, stderr: new StderrSink() })),
      surroundings: this.surroundingsIn(() => world),
      observer,
      lineWatcher: this.#lineWatcher,
      file: this.#file(),
      alwaysInFiles: true,
    });
    // No validation of the script first: its main chunk runs in the session, and only there.
    source.trust({ hash: this.script().script?.hash ?? '', callbacks: [], source: undefined });
    return source;
  }
}
