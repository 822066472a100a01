/**
 * The options in force: values from wherever they may come, read as the option table says.
 *
 * A value on the command line counts before one in the environment (`SMTPF_MILTER_` and the name in capitals), that
 * before one in the config file, that before the default. Nothing here has side effects but reading the config file.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MessageLimits } from '../milter/transaction.ts';
import { refusalToRead } from '../system/privileges.ts';
import { readRegular } from '../system/regular-file.ts';
import { BadValue } from '../text/bad-value.ts';
import { nearest } from '../text/nearest.ts';
import { EXIT, exitCodeOf, OperatorError } from '../text/operator-error.ts';
import { absolutePath, OPTION_TABLE, type OptionDefinition, type Options, single } from './option-table.ts';

const ENVIRONMENT_PREFIX = 'SMTPF_MILTER_';

/** Options as found on the command line: the texts given for each name, in dashed form. */
export type GivenOptions = ReadonlyMap<string, readonly string[]>;

interface Given {
  readonly texts: readonly string[];
  /** How a message names it: `--listen`, `SMTPF_MILTER_LISTEN`, `/etc/smtpf.json: listen`. */
  readonly from: string;
  readonly exitCode: number;
}

/** Of a command that needs some options only: what is wrong with others in environment and config file is not its affair. */
export interface OptionScope {
  readonly takes: (name: string) => boolean;
  readonly warn: (message: string) => void;
}

/**
 * The options in force.
 * @param scope undefined: everything has to be right.
 * @throws OperatorError (64 for command line and environment, 78 for the config file) on the first thing that is wrong.
 */
export function resolveOptions(
  commandLine: GivenOptions,
  environment: NodeJS.ProcessEnv,
  scope?: OptionScope,
): Options {
  const tolerate = (error: OperatorError): void => {
    if (scope === undefined) throw error;
    scope.warn(error.message);
  };
  const given = new Map<string, Given>();
  for (const [name, texts] of commandLine) {
    const definition = find(name);
    if (definition === undefined) throw unknownName(`--${name}`, '--', name, EXIT.usage);
    if (definition.kind !== 'list' && texts.length > 1) throw givenTwice(name);
    given.set(name, { texts, from: `--${name}`, exitCode: EXIT.usage });
  }
  addMissing(given, fromEnvironment(environment, tolerate));
  const config = given.get('config');
  if (config !== undefined && scope?.takes('config') !== false)
    addMissing(given, fromConfigFile(config, tolerate));
  return readAll(given, (name, error) => {
    if (scope?.takes(name) !== false || commandLine.has(name)) throw error;
    scope.warn(error.message);
  });
}

/** Of an option of the command line that may be given once. */
export function givenTwice(name: string): OperatorError {
  return new OperatorError(`--${name}: may be given only once`, EXIT.usage);
}

function addMissing(given: Map<string, Given>, more: ReadonlyMap<string, Given>): void {
  for (const [name, found] of more) if (!given.has(name)) given.set(name, found);
}

function fromEnvironment(
  environment: NodeJS.ProcessEnv,
  tolerate: (error: OperatorError) => void,
): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const [variable, content] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || content === undefined || content === '') continue;
    const name = variable.slice(ENVIRONMENT_PREFIX.length).toLowerCase().replaceAll('_', '-');
    const definition = find(name);
    if (definition === undefined) {
      // Kubernetes and Docker set such variables for a service that is called smtpf-milter.
      if (/^(port|service|name|env)(-|$)/.test(name)) continue;
      tolerate(unknownName(variable, ENVIRONMENT_PREFIX, name, EXIT.usage));
      continue;
    }
    const texts = definition.kind === 'list' ? content.split(/\s+/).filter((part) => part !== '') : [content];
    if (texts.length > 0) given.set(name, { texts, from: variable, exitCode: EXIT.usage });
  }
  return given;
}

/** `config` names the file. */
function fromConfigFile(config: Given, tolerate: (error: OperatorError) => void): Map<string, Given> {
  const file = read(absolutePathOption, config);
  const given = new Map<string, Given>();
  for (const [key, content] of Object.entries(readConfig(file))) {
    const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll('_', '-');
    const from = `${file}: ${JSON.stringify(key)}`;
    const definition = find(name);
    if (definition === undefined) {
      tolerate(unknownName(from, '', name, EXIT.config));
      continue;
    }
    if (name === 'config') throw new OperatorError(`${from}: a config file cannot name another`, EXIT.config);
    if (Array.isArray(content) && definition.kind !== 'list') {
      throw new OperatorError(`${from}: ${JSON.stringify(content)} must be a single value`, EXIT.config);
    }
    if (given.has(name))
      throw new OperatorError(`${from}: given a second time, in another spelling`, EXIT.config);
    given.set(name, { texts: configTexts(content, from), from, exitCode: EXIT.config });
  }
  return given;
}

const absolutePathOption: OptionDefinition<string> = {
  ...OPTION_TABLE.config,
  fallback: '',
  read: single(absolutePath),
};

function readConfig(file: string): object {
  let source: string;
  try {
    source = readRegular(file)
      .toString('utf8')
      .replace(/^\uFEFF/, '');
  } catch (error) {
    throw new OperatorError(`--config ${file}: cannot be read: ${refusalToRead(error)}`, exitCodeOf(error));
  }
  let content: unknown;
  try {
    content = JSON.parse(source);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error);
    throw new OperatorError(`--config ${file}: is not JSON: ${why}${slipIn(source, why)}`, EXIT.config);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new OperatorError(`--config ${file}: must hold a JSON object: { "listen": ... }`, EXIT.config);
  }
  return content;
}

/** The usual slips of a hand at JSON, in words; empty for others. @param why as JSON.parse says it */
function slipIn(source: string, why: string): string {
  const at = / at position (\d+)/.exec(why)?.[1];
  const rest = at === undefined ? '' : source.slice(Number(at));
  if (/^(\/\/|\/\*|#)/.test(rest)) return ': JSON has no comments';
  if (/^Expected ',' or/.test(why)) return ': a comma is missing before it';
  if (/^Expected .*property name/.test(why))
    return rest.startsWith('}')
      ? ': the comma before it is one too many'
      : ': a name stands in double quotes';
  return '';
}

function configTexts(content: unknown, from: string): readonly string[] {
  const texts = (Array.isArray(content) ? content : [content]).map((item: unknown) => {
    if (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean')
      return String(item);
    throw new OperatorError(
      `${from}: ${JSON.stringify(content)} must be text, a number, true or false`,
      EXIT.config,
    );
  });
  if (texts.length === 0) throw new OperatorError(`${from}: [] must not be empty`, EXIT.config);
  return texts;
}

/** @param refuse throws, or else the default is taken. */
function readAll(
  given: ReadonlyMap<string, Given>,
  refuse: (name: string, error: OperatorError) => void,
): Options {
  return Object.freeze(
    eachOption((definition) => {
      const found = given.get(definition.name);
      if (found === undefined) return definition.fallback;
      try {
        return read(definition, found);
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error;
        refuse(definition.name, error);
        return definition.fallback;
      }
    }),
  );
}

/**
 * By the field of each definition, what `resolved` makes of it. The compiler loses which value belongs to which field in
 * `Object.entries`: the first line is what it is told instead.
 */
function eachOption(resolved: <Value>(definition: OptionDefinition<Value>) => Value): Options;
function eachOption(
  resolved: (definition: OptionDefinition<unknown>) => unknown,
): Readonly<Record<string, unknown>> {
  const table = Object.entries<OptionDefinition<unknown>>(OPTION_TABLE);
  return Object.fromEntries(table.map(([field, definition]) => [field, resolved(definition)]));
}

function read<Value>(definition: OptionDefinition<Value>, given: Given): Value {
  try {
    return definition.read(given.texts);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    const shown = definition.isSecret
      ? 'its value'
      : given.texts.map((part) => JSON.stringify(part)).join(' ');
    throw new OperatorError(`${given.from}: ${shown} ${error.message}`, given.exitCode);
  }
}

function find(name: string): OptionDefinition<unknown> | undefined {
  return Object.values<OptionDefinition<unknown>>(OPTION_TABLE).find(
    (definition) => definition.name === name,
  );
}

/** `prefix` is what stands before an option's name in that place. */
function unknownName(from: string, prefix: string, name: string, exitCode: number): OperatorError {
  const near = nearest(
    name,
    Object.values(OPTION_TABLE).map((definition) => definition.name),
  );
  let hint = '';
  if (near !== undefined) {
    const spelt = prefix === ENVIRONMENT_PREFIX ? near.toUpperCase().replaceAll('-', '_') : near;
    hint = ` (did you mean ${prefix}${spelt}?)`;
  }
  return new OperatorError(`${from}: unknown option${hint}`, exitCode);
}

/** The options of the service of the Debian package. */
export const PACKAGED_CONFIG = '/etc/smtpf-milter/config.json';
/** Of its unit smtpf-milter.socket, in the directory that it, and the tutorial, make in Postfix's chroot. */
export const PACKAGED_SOCKET = '/var/spool/postfix/smtpf/milter.sock';

/** Policies to be required by name: `policy.greylist`. They come with the program, in a folder beside its code. */
export const READY_POLICIES = fileURLToPath(new URL('../../policies', import.meta.url));

/**
 * Where Lua modules are looked for if no option says: beside the script first, then where the default script is. What comes
 * with the program is found at last, whatever the option says: a site's own file of that name counts.
 */
export function packagePathOf(options: Options): string {
  const beside = dirname(options.script);
  const places = beside === '/etc/mail' ? [beside] : [beside, '/etc/mail'];
  const own = options.packagePath ?? places.flatMap((place) => patternsIn(place)).join(';');
  const ready = patternsIn(READY_POLICIES).join(';');
  return own.endsWith(ready) ? own : `${own};${ready}`;
}

function patternsIn(directory: string): string[] {
  return [`${directory}/?.lua`, `${directory}/?/init.lua`];
}

/** Bounds of a message. */
export function messageLimitsOf({
  maxHeaderBytes,
  maxHeaders,
  maxBodyBytes,
  maxRecipients,
}: Options): MessageLimits {
  return {
    headerBytes: maxHeaderBytes,
    headers: maxHeaders,
    bodyBytes: maxBodyBytes === 0 ? Number.POSITIVE_INFINITY : maxBodyBytes,
    recipients: maxRecipients,
  };
}
