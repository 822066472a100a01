/** Events as lines of the log: the object is the text of a line, or in a log of JSON a part of it. */
import type { LogSink } from '../syslog/log-sink.ts';
import { type Events, eventLine, type PolicyEventRecord } from './event.ts';

const LOG_MAIL = 2;
const INFO = 6;
/** With a header in front, no log daemon cuts it. */
const MOST = 7900;

/** @param sink where the script's own lines go */
export function logEvents(sink: LogSink): Events {
  return {
    tell: (event) => {
      const record = { facility: LOG_MAIL, severity: INFO, ident: 'smtpf', pid: true };
      if (sink.takesFields) sink.write({ ...record, text: event.event, fields: () => fieldsOf(event) });
      else sink.write({ ...record, text: eventLine(event, MOST) });
    },
  };
}

function fieldsOf({ event, session, transaction, fields }: PolicyEventRecord): Record<string, unknown> {
  return {
    event: 'policy',
    ...(session !== undefined && { session }),
    ...(transaction !== undefined && { transaction }),
    name: event,
    fields: Object.fromEntries(fields),
  };
}
