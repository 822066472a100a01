/** The command line: finds the command and its options, runs it, and turns its end into an exit code. */
import { accessSync, constants, readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { OPTION_TABLE } from '../options/option-table.ts';
import { onOff } from '../options/option-values.ts';
import { type GivenOptions, givenTwice, resolveOptions } from '../options/options.ts';
import { BadValue } from '../text/bad-value.ts';
import { nearest } from '../text/nearest.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { visibleText } from '../text/visible.ts';
import { type Arguments, COMMANDS, type CommandDefinition } from './command-table.ts';
import { helpFoot, helpWidth } from './help-text.ts';
import { flushed } from './print.ts';

const VERSION = readVersion();

interface Invocation {
  readonly command: CommandDefinition;
  readonly args: Arguments;
}

/** @returns what to run, or the text that answers --help or --version. @throws OperatorError */
async function parse(argv: string[]): Promise<Invocation | string> {
  let invocation: Invocation | undefined;
  /** Whose --help is asked for, where it is. */
  let described: CommandDefinition | undefined;
  const width = helpWidth();
  const program = yargs(argv)
    .scriptName('smtpf-milter')
    .locale('en')
    .usage('$0 [command] [options]\n\nA milter that runs your mail policy in Lua, for Postfix and Sendmail.')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'strip-aliased': true,
    })
    .version(VERSION)
    .alias('version', 'V')
    .help()
    .alias('help', 'h')
    .wrap(width)
    .exitProcess(false)
    .fail(false);
  for (const command of COMMANDS) {
    program.command(
      command.usage,
      command.summary,
      (parser) => {
        described = command;
        return describe(parser, command);
      },
      (args) => {
        invocation = { command, args: unguarded(args) };
      },
    );
  }
  let answer = '';
  try {
    await program.parseAsync(argv, {}, (_error, _args, output) => {
      answer = output;
    });
  } catch (error) {
    throw new OperatorError(usageProblem(error, described).replaceAll(GUARD, ''), EXIT.usage);
  }
  if (invocation !== undefined || answer === VERSION || described === undefined) return invocation ?? answer;
  return `${answer}\n\n${helpFoot(described, width)}`;
}

function describe(parser: Argv, command: CommandDefinition): Argv {
  for (const [name, { help, shown }] of Object.entries(command.positionals)) {
    parser.positional(name, {
      describe: help,
      ...(shown === undefined ? { default: undefined } : { defaultDescription: shown }),
    });
  }
  for (const [name, { heading, help, kind, shown }] of Object.entries(command.own ?? {})) {
    parser.option(name, {
      group: `${heading}:`,
      describe: help,
      ...(kind === 'switch' ? { boolean: true } : { requiresArg: true }),
      ...(shown === undefined ? {} : { defaultDescription: shown }),
    });
  }
  for (const { name, group, help, kind, shown } of Object.values(OPTION_TABLE)) {
    if (!takes(command, name)) continue;
    const ofServer = command.server?.[name];
    parser.option(name, {
      group: ofServer === undefined ? group : 'The running server:',
      describe: ofServer ?? help,
      ...(kind === 'flag' ? { boolean: true } : {}),
      ...(shown === undefined || ofServer !== undefined ? {} : { defaultDescription: shown }),
    });
  }
  return parser.group(['help', 'version'], 'Program:');
}

function takes(command: CommandDefinition, option: string): boolean {
  return command.options?.includes(option) ?? true;
}

/** Stands before a word that yargs would take for an option without a name; no argument of a process can hold it. */
const GUARD = '\0';

function unguarded(args: Arguments): Arguments {
  const plain = (value: unknown): unknown =>
    typeof value === 'string' ? value.replace(GUARD, '') : Array.isArray(value) ? value.map(plain) : value;
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, plain(value)]));
}

/**
 * Arguments as yargs understands them: it takes `--allow-js=yes` for false, does not tell of a second flag, and loses
 * `-` and what stands behind `--`.
 * @throws OperatorError
 */
function spellArguments(argv: readonly string[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const seen = new Set<string>();
  const options = argv.slice(0, end).map((argument) => {
    const [option = '', ...value] = argument.split('=');
    const name = option.slice('--'.length);
    if (argument === '-') return `${GUARD}${argument}`;
    if (!option.startsWith('--') || !isFlag(name)) return argument;
    if (seen.has(name)) throw givenTwice(name);
    seen.add(name);
    if (value.length === 0) return argument;
    try {
      return `${option}=${onOff(value.join('='))}`;
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      throw new OperatorError(`${option}: ${JSON.stringify(value.join('='))} ${error.message}`, EXIT.usage);
    }
  });
  const words = argv.slice(end + 1).map((word) => (word.startsWith('-') ? `${GUARD}${word}` : word));
  return [...options, ...words];
}

/** Of any command. */
function isFlag(name: string): boolean {
  return (
    Object.values(OPTION_TABLE).some((option) => option.kind === 'flag' && option.name === name) ||
    COMMANDS.some(({ own }) => own?.[name]?.kind === 'switch')
  );
}

/** @param command whose arguments were read, where it came to that */
function usageProblem(error: unknown, command: CommandDefinition | undefined): string {
  const message = error instanceof Error ? error.message : String(error);
  const [, option] = /^Not enough arguments following: (.+)$/.exec(message) ?? [];
  if (option !== undefined) return `--${option}: needs a value`;
  if (message.startsWith('Not enough non-option arguments') && command?.unnamed !== undefined)
    return `${command.name}: ${command.unnamed}`;
  return message.replace(/\s*\n\s*/g, ' ');
}

/** The options given, by dashed name, whether known or not. @throws OperatorError for arguments nobody takes. */
function givenOptions({ command, args }: Invocation): GivenOptions {
  const given = new Map<string, readonly string[]>(command.implied?.(args));
  for (const [key, content] of Object.entries(args)) {
    if (key === '$0' || Object.hasOwn(command.positionals, key)) continue;
    const values: unknown[] = Array.isArray(content) ? content : [content];
    const own = Object.hasOwn(command.own ?? {}, key) ? command.own?.[key] : undefined;
    if (own !== undefined) {
      if (values.length > 1 && own.kind !== 'list') throw givenTwice(key);
      continue;
    }
    if (key === '_') {
      refuseSurplus(command, values.map(String));
      continue;
    }
    const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const known = Object.values(OPTION_TABLE).find((definition) => definition.name === name);
    if (known && known.kind !== 'flag' && values.includes(true)) {
      throw new OperatorError(`--${name}: needs a value`, EXIT.usage);
    }
    if (known && !takes(command, name)) {
      throw new OperatorError(`--${name}: not an option of ${command.name}`, EXIT.usage);
    }
    if (!known && name.length === 1) throw new OperatorError(`-${name}: unknown option`, EXIT.usage);
    const near = nearest(name, Object.keys(command.own ?? {}));
    if (!known && near !== undefined) {
      throw new OperatorError(`--${name}: unknown option (did you mean --${near}?)`, EXIT.usage);
    }
    given.set(name, values.map(String));
  }
  return given;
}

function refuseSurplus(command: CommandDefinition, words: readonly string[]): void {
  const surplus = words[0] === command.name ? words[1] : words[0];
  if (surplus === undefined) return;
  const near = nearest(
    surplus,
    COMMANDS.map(({ name }) => name),
  );
  throw new OperatorError(
    words[0] === command.name
      ? `${command.name}: ${JSON.stringify(surplus)} is one argument too many`
      : `${JSON.stringify(surplus)}: unknown command${near === undefined ? '' : ` (did you mean ${near}?)`}`,
    EXIT.usage,
  );
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const found = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return found ? String(manifest.version) : 'unknown';
}

function warn(message: string): void {
  process.stderr.write(`smtpf-milter: warning: ${visibleText(message.replaceAll('\n', ' '))}\n`);
}

/** @returns the exit code, when all output is read. */
async function main(): Promise<number> {
  let isServer = false;
  const runCommand = async (): Promise<number> => {
    const parsed = await parse(spellArguments(process.argv.slice(2)));
    if (typeof parsed === 'string') {
      process.stdout.write(`${parsed}\n`);
      return EXIT.ok;
    }
    const { command } = parsed;
    isServer = command.name === 'serve';
    const given = givenOptions(parsed);
    // What a server would not start with is found before its start.
    const looksAtConfig = command.name === 'check' && given.has('config');
    const scope =
      command.options && !looksAtConfig ? { takes: (name: string) => takes(command, name), warn } : undefined;
    const options = resolveOptions(withUsualConfig(given, command), process.env, scope);
    return await command.run(options, parsed.args, VERSION);
  };
  const code = await runCommand().catch(exitCodeOfError);
  // A server waits for whoever reads its log as long as the log says, and no longer.
  if (!isServer) await flushed(process.stdout, process.stderr);
  return code;
}

/** One that only root may read is not meant by others. */
function withUsualConfig(given: GivenOptions, { usualConfig }: CommandDefinition): GivenOptions {
  if (usualConfig === undefined || given.has('config') || process.env['SMTPF_MILTER_CONFIG']) return given;
  try {
    accessSync(usualConfig, constants.R_OK);
  } catch {
    return given;
  }
  return new Map([...given, ['config', [usualConfig]]]);
}

/** Says what was wrong. */
function exitCodeOfError(error: unknown): number {
  if (error instanceof OperatorError) {
    process.stderr.write(`smtpf-milter: ${visibleText(error.message.replaceAll('\n', ' '))}\n`);
    return error.exitCode;
  }
  const account = String(error instanceof Error ? error.stack : error);
  process.stderr.write(`smtpf-milter: internal error: ${account.replace(/[^\n]+/g, visibleText)}\n`);
  return EXIT.software;
}

// A reader of our output that has gone away is no reason to stop filtering mail.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.exit(await main());
