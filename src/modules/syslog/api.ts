/** The module `syslog`. */
import type { Chapter, Constant } from '../entry.ts';

/** Of <syslog.h>: options, facilities shifted by 3, levels. */
export const VALUES = {
  LOG_PID: 1,
  LOG_CONS: 2,
  LOG_ODELAY: 4,
  LOG_NDELAY: 8,
  LOG_NOWAIT: 16,
  LOG_PERROR: 32,
  LOG_KERN: 0,
  LOG_USER: 8,
  LOG_MAIL: 16,
  LOG_DAEMON: 24,
  LOG_AUTH: 32,
  LOG_SYSLOG: 40,
  LOG_LPR: 48,
  LOG_NEWS: 56,
  LOG_UUCP: 64,
  LOG_CRON: 72,
  LOG_AUTHPRIV: 80,
  LOG_FTP: 88,
  LOG_LOCAL0: 128,
  LOG_LOCAL1: 136,
  LOG_LOCAL2: 144,
  LOG_LOCAL3: 152,
  LOG_LOCAL4: 160,
  LOG_LOCAL5: 168,
  LOG_LOCAL6: 176,
  LOG_LOCAL7: 184,
  LOG_EMERG: 0,
  LOG_ALERT: 1,
  LOG_CRIT: 2,
  LOG_ERR: 3,
  LOG_WARNING: 4,
  LOG_NOTICE: 5,
  LOG_INFO: 6,
  LOG_DEBUG: 7,
} as const;

const CONSTANTS: readonly Constant[] = Object.entries(VALUES).map(([name, value]) => ({
  kind: 'constant',
  name: `syslog.${name}`,
  value,
}));

const MESSAGE = {
  name: 'message',
  type: 'string',
  sample: '"some text"',
  doc: 'text, up to 8192 bytes; `%` is an ordinary character: `string.format` makes texts',
};

const logs = <Name extends string>(name: Name, level: string) =>
  ({
    kind: 'function',
    name: `syslog.${name}`,
    params: [MESSAGE],
    joins: 'string.format',
    results: [],
    doc: `Logs at level ${level}.`,
  }) as const;

const FUNCTIONS = [
  {
    kind: 'function',
    name: 'syslog.openlog',
    aliases: ['syslog.open'],
    params: [
      {
        name: 'ident',
        type: 'string',
        optional: true,
        doc: 'what stands before each message, up to 64 bytes; `smtpf` without it',
      },
      {
        name: 'options',
        type: 'integer',
        optional: true,
        doc: 'LOG_PID and others, or-ed, LOG_PID without it; LOG_PERROR also writes to standard error, the rest is harmless',
      },
      {
        name: 'facility',
        type: 'integer',
        optional: true,
        doc: 'LOG_MAIL and others; LOG_MAIL without it, or for LOG_KERN',
      },
    ],
    results: [],
    doc: 'Says how this session logs; it affects no other.',
  },
  {
    kind: 'function',
    name: 'syslog.syslog',
    aliases: ['syslog.log'],
    joins: 'string.format',
    params: [
      {
        name: 'level',
        type: 'integer',
        sample: '6',
        doc: 'LOG_INFO and others, or-ed with a facility if need be',
      },
      MESSAGE,
    ],
    results: [],
    doc: 'Logs a message; the session’s id stands in front of it. With `--log-format json` the line has `event` (`script`), `session`, `callback`, `file` and `line` besides.',
    example: 'syslog.syslog(syslog.LOG_NOTICE, "refused " .. smtp.sess.ip)',
  },
  logs('error', 'LOG_ERR'),
  logs('warning', 'LOG_WARNING'),
  logs('notice', 'LOG_NOTICE'),
  logs('info', 'LOG_INFO'),
  logs('debug', 'LOG_DEBUG'),
  {
    kind: 'function',
    name: 'syslog.closelog',
    aliases: ['syslog.close'],
    params: [],
    results: [],
    doc: 'Undoes `syslog.openlog`.',
  },
] as const;

export const syslogApi = {
  title: 'Logging',
  doc: 'Messages go where `--syslog` says. Logging never waits.',
  uses: ['log', 'stderr'],
  entries: FUNCTIONS,
} as const satisfies Chapter;

export const syslogConstants: Chapter = {
  title: 'Logging constants',
  doc: 'Values of POSIX.',
  entries: CONSTANTS,
};
