/** Completion for bash, zsh and fish, from the tables of commands and options. */
import { COMMANDS, type CommandDefinition } from '../../src/commands/command-table.ts';
import { OPTION_TABLE } from '../../src/options/option-table.ts';

interface Word {
  readonly name: string;
  readonly help: string;
  readonly takesValue: boolean;
}

/** The options of a command, its own and those of the server that it takes. */
function optionsOf(command: CommandDefinition): Word[] {
  const own = Object.entries(command.own ?? {}).map(([name, { help, kind }]) => ({
    name,
    help,
    takesValue: kind !== 'switch',
  }));
  const servers = Object.values(OPTION_TABLE)
    .filter(({ name }) => command.options?.includes(name) ?? true)
    .map(({ name, help, kind }) => ({
      name,
      help: command.server?.[name] ?? help,
      takesValue: kind !== 'flag',
    }));
  const common = [
    { name: 'help', help: 'Show help', takesValue: false },
    { name: 'version', help: 'Show version number', takesValue: false },
  ];
  return [...own, ...servers, ...common];
}

/** Words that an argument of a command may be. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  store: ['list', 'get', 'set', 'del', 'dump', 'load'],
};

const HEAD = '# Written from the tables of commands and options: change those.';

/** By the name of the file, as each shell looks for it. */
export function completions(): ReadonlyMap<string, string> {
  return new Map([
    ['smtpf-milter.bash', bash()],
    ['_smtpf-milter', zsh()],
    ['smtpf-milter.fish', fish()],
  ]);
}

/** One line, short enough for a menu. */
function short(help: string): string {
  const [first = ''] = help.split(/[;:.] /);
  return first.length <= 70 ? first : `${first.slice(0, 69).trimEnd()}…`;
}

function bash(): string {
  const serve = COMMANDS.find(({ name }) => name === 'serve');
  const cases = COMMANDS.map((command) => {
    const names = optionsOf(command).map(({ name }) => `--${name}`);
    return `    ${command.name}) options='${names.join(' ')}'; words='${(WORDS[command.name] ?? []).join(' ')}' ;;`;
  });
  const valued = [
    ...new Set(
      COMMANDS.flatMap(optionsOf).flatMap(({ name, takesValue }) => (takesValue ? [`--${name}`] : [])),
    ),
  ];
  return `${HEAD}
_smtpf_milter() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command= options= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
    ${COMMANDS.map(({ name }) => name).join('|')}) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command in
${cases.join('\n')}
    *) options='${
      serve === undefined
        ? ''
        : optionsOf(serve)
            .map(({ name }) => `--${name}`)
            .join(' ')
    }'
       words='${COMMANDS.map(({ name }) => name).join(' ')}' ;;
  esac
  case $previous in
  ${valued.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _smtpf_milter smtpf-milter
`;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function zsh(): string {
  const described = (text: string) => short(text).replace(/[[\]:\\]/g, '\\$&');
  const specs = (command: CommandDefinition) =>
    optionsOf(command).map(({ name, help, takesValue }) =>
      quoted(`*--${name}${takesValue ? '=' : ''}[${described(help)}]${takesValue ? ':value:_files' : ''}`),
    );
  const cases = COMMANDS.map((command) => {
    const words = WORDS[command.name];
    const rest = words === undefined ? "'*:file:_files'" : `'1:action:(${words.join(' ')})' '*:file:_files'`;
    return `    ${command.name})\n      _arguments -S ${[...specs(command), rest].join(' \\\n        ')}\n      ;;`;
  });
  const serve = COMMANDS.find(({ name }) => name === 'serve');
  return `#compdef smtpf-milter
${HEAD}
_smtpf-milter() {
  local -a commands
  commands=(
${COMMANDS.map(({ name, summary }) => `    ${quoted(`${name}:${short(summary)}`)}`).join('\n')}
  )
  local command=\${words[(r)(${COMMANDS.map(({ name }) => name).join('|')})]}
  if [[ -z $command || $words[CURRENT] == $command ]]; then
    _describe command commands
    _arguments -S ${serve === undefined ? '' : specs(serve).join(' \\\n      ')}
    return
  fi
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
_smtpf-milter "$@"
`;
}

function fish(): string {
  const line = (condition: string, { name, help, takesValue }: Word) =>
    `complete -c smtpf-milter -n ${quoted(condition)} -l ${name}${takesValue ? ' -r' : ''} -d ${quoted(fishText(short(help)))}`;
  const names = COMMANDS.map(({ name }) => name).join(' ');
  const none = `not __fish_seen_subcommand_from ${names}`;
  return [
    HEAD,
    ...COMMANDS.map(
      ({ name, summary }) =>
        `complete -c smtpf-milter -n ${quoted(none)} -f -a ${name} -d ${quoted(fishText(short(summary)))}`,
    ),
    ...COMMANDS.flatMap((command) => {
      const condition =
        command.name === 'serve'
          ? `${none}; or __fish_seen_subcommand_from serve`
          : `__fish_seen_subcommand_from ${command.name}`;
      const words = WORDS[command.name];
      return [
        ...optionsOf(command).map((option) => line(condition, option)),
        ...(words === undefined
          ? []
          : [`complete -c smtpf-milter -n ${quoted(condition)} -a ${quoted(words.join(' '))}`]),
      ];
    }),
    '',
  ].join('\n');
}

/** In single quotes fish reads a backslash before a quote or another one. */
function fishText(text: string): string {
  return text.replaceAll('\\', '\\\\');
}
