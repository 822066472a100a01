/** The man pages of a package, from the descriptions that `--help` and docs/ are made of. */
import { readFileSync } from 'node:fs';
import { API } from '../../src/api/definition.ts';
import { formatReference } from '../../src/api/reference.ts';
import { COMMANDS, type CommandDefinition } from '../../src/commands/command-table.ts';
import { OPTION_TABLE } from '../../src/options/option-table.ts';
import { argument, inline, roff } from './roff.ts';

const OPTIONS = Object.values(OPTION_TABLE);

/** By the name of the file. @param date of the version, as 2026-11-28 */
export function manualPages(version: string, date: string): ReadonlyMap<string, string> {
  return new Map([
    ['smtpf-milter.8', page('smtpf-milter', 8, version, date, programPage())],
    ['smtpf-milter-lua.3', page('smtpf-milter-lua', 3, version, date, luaPage())],
    ['smtpf-milter.json.5', page('smtpf-milter.json', 5, version, date, configPage())],
  ]);
}

function page(name: string, section: number, version: string, date: string, body: string): string {
  const head = `.TH ${argument(name.toUpperCase())} ${section} "${date}" ${argument(`smtpf-milter ${version}`)}`;
  // No hyphens and no filled lines: names and addresses stay as they are typed.
  return `.\\" Written from the descriptions of commands, options and the Lua API: change those.\n${head}\n.nh\n.ad l\n${body.replace(/^(\.S[HS] .*)\n\.PP$/gm, '$1')}\n`;
}

/** A part of a page of docs/, without its heading. */
function chapter(file: string, title: string): string {
  const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8');
  const [, found] = new RegExp(`^## ${title}\\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(text) ?? [];
  if (found === undefined) throw new Error(`docs/${file} has no chapter ${title}`);
  return found.trim();
}

function programPage(): string {
  const others = COMMANDS.filter(({ name }) => name !== 'serve');
  return [
    '.SH NAME',
    'smtpf\\-milter \\- mail filter with a policy in Lua, for Postfix and Sendmail',
    '.SH SYNOPSIS',
    ...synopsis('smtpf-milter [options]'),
    ...others.flatMap(({ usage }) => synopsis(`smtpf-milter ${usage} [options]`)),
    '.SH DESCRIPTION',
    inline(
      'smtpf-milter is a milter: Postfix or Sendmail asks it about each SMTP session over a socket, and a policy, a file with functions in Lua, answers. `smtpf-milter-lua`(3) is the reference of these functions, `smtpf-milter.json`(5) that of the file in which the options stand.',
    ),
    '.PP',
    inline(
      'Without a command it runs as a server until SIGTERM. As the service `smtpf-milter.service` it reads `/etc/smtpf-milter/config.json`, and its policy is `/etc/mail/smtpf.lua`.',
    ),
    '.SH COMMANDS',
    ...others.flatMap(formatCommand),
    '.SH OPTIONS',
    inline(
      'They are options of the server; the other commands take some of them, as `smtpf-milter COMMAND --help` says. A value counts on the command line before the environment (`SMTPF_MILTER_LISTEN` for `--listen`), and there before the file of `--config`.',
    ),
    ...groups().flatMap(([group, options]) => [
      `.SS ${argument(group)}`,
      ...options.flatMap(({ name, kind, help, shown }) =>
        tagged(`--${name}${kind === 'flag' ? '' : '=VALUE'}`, help, shown),
      ),
    ]),
    '.SH FILES',
    roff(chapter('options.md', 'Where files are')),
    '.SH SIGNALS',
    roff(chapter('options.md', 'Signals')),
    '.SH EXIT STATUS',
    roff(chapter('options.md', 'Exit codes')),
    '.SH EXAMPLES',
    ...COMMANDS.flatMap(({ examples }) =>
      examples.flatMap(([example, meaning]) => [
        '.TP',
        bold(example.replaceAll('$0', 'smtpf-milter')),
        inline(meaning),
      ]),
    ),
    '.SH SEE ALSO',
    '.BR smtpf\\-milter\\-lua (3),',
    '.BR smtpf\\-milter.json (5),',
    '.BR postconf (5),',
    '.BR systemd.service (5)',
    '.PP',
    '/usr/share/doc/smtpf\\-milter/docs/tutorial.md leads from an installed package to a tested policy behind Postfix; the',
    'other pages of documentation are beside it.',
  ].join('\n');
}

function synopsis(line: string): string[] {
  const [program = '', ...rest] = line.split(' ');
  return ['.PP', `${bold(program)} ${inline(rest.join(' '))}`];
}

function formatCommand({
  usage,
  name,
  summary,
  own = {},
  positionals,
  notes = [],
}: CommandDefinition): string[] {
  const text = String(usage).slice(name.length).trim();
  return [
    `.SS ${argument(`${name} ${text}`.trim())}`,
    `${inline(summary)}.`,
    ...Object.entries(positionals).flatMap(([word, { help, shown }]) => tagged(word, help, shown)),
    ...Object.entries(own).flatMap(([option, { help, shown, kind }]) =>
      tagged(`--${option}${kind === 'switch' ? '' : '=VALUE'}`, help, shown),
    ),
    ...notes.flatMap((note) => ['.PP', inline(note)]),
  ];
}

function tagged(tag: string, help: string, shown: string | undefined): string[] {
  const fallback =
    shown === undefined ? '' : ` Default: ${shown === '.' ? 'the folder that you are in' : shown}.`;
  return ['.TP', bold(tag), inline(`${help.replace(/\.?$/, '.')}${fallback}`)];
}

/** Not by a macro, which would take quotes for its own. */
function bold(text: string): string {
  return `\\fB${inline(text)}\\fR`;
}

function groups(): [string, typeof OPTIONS][] {
  const names = [...new Set(OPTIONS.map(({ group }) => group))];
  return names.map((name) => [name.replace(':', ''), OPTIONS.filter(({ group }) => group === name)]);
}

function configPage(): string {
  const example = { listen: ['inet:8895@127.0.0.1'], 'on-error': 'tempfail', 'journal-redact': true };
  return [
    '.SH NAME',
    'smtpf\\-milter.json \\- options of smtpf\\-milter(8) in a file',
    '.SH SYNOPSIS',
    '/etc/smtpf\\-milter/config.json',
    '.SH DESCRIPTION',
    roff(
      'The file of `--config`, a JSON object. Each key is the name of an option, without the dashes in front; `onError` and `on_error` are `on-error`. A value is text, a number, `true` or `false`, and a list of these where the option may be given several times. A name that no option has, a wrong value and a name given twice end the program with exit code 78 and one line that says what is wrong.\n\nWhat the command line or the environment says counts before the file. The unit of the service gives `--config`, and some options besides, which count before the file too; `systemctl cat smtpf-milter` shows them.',
    ),
    '.SH EXAMPLE',
    roff(`\`\`\`\n${JSON.stringify(example, undefined, 2)}\n\`\`\``),
    '.SH KEYS',
    ...groups().flatMap(([group, options]) => [
      `.SS ${argument(group)}`,
      ...options
        .filter(({ name }) => name !== 'config')
        .flatMap(({ name, kind, help, shown }) =>
          tagged(
            `"${name}": ${{ flag: 'true', value: '"VALUE"', list: '["VALUE", ...]' }[kind]}`,
            help,
            shown,
          ),
        ),
    ]),
    '.SH SEE ALSO',
    '.BR smtpf\\-milter (8),',
    '.BR smtpf\\-milter\\-lua (3)',
  ].join('\n');
}

function luaPage(): string {
  return [
    '.SH NAME',
    'smtpf\\-milter\\-lua \\- the Lua API of policies for smtpf\\-milter(8)',
    '.SH SYNOPSIS',
    roff('```\nfunction smtp.do_rcpt(recipient, params)\n  return 550, "5.7.1 not here"\nend\n```'),
    '.SH DESCRIPTION',
    inline(
      'A policy is a file in Lua 5.3, `/etc/mail/smtpf.lua`, that defines functions of the table `smtp`. Each SMTP session runs it in a Lua state of its own.',
    ),
    roff(formatReference(API, 2)),
    '.SH SEE ALSO',
    '.BR smtpf\\-milter (8),',
    '.BR smtpf\\-milter.json (5)',
  ].join('\n');
}
