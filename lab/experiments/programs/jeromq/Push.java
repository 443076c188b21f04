import java.util.List;
import java.util.Locale;
import org.zeromq.ZMQ;

/** Send numbered messages in turn to all receivers that connect. */
public class Push {
    public static void main(String[] words) throws Exception {
        Tracing options = new Tracing(
            words, List.of("--count", "--first", "--interval", "--delay", "--size"),
            List.of("--connect", "--trace"));
        ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket socket = context.socket(ZMQ.PUSH);
        options.watch(context, socket, true);
        for (String address : options.addresses) {
            if (options.has("--connect")) {
                socket.connect(address);
            } else {
                socket.bind(address);
            }
        }
        options.ready();
        Tracing.sleep(options.number("--delay", 0));
        int first = (int) options.number("--first", 0);
        int size = (int) options.number("--size", 0);
        for (int x = first; x < first + (int) options.number("--count", 20); x++) {
            String message = String.format(Locale.ROOT, "%d , %.6f", x, Tracing.now());
            Tracing.print(Integer.toString(x));
            socket.send(message + " ".repeat(Math.max(0, size - message.length())));
            options.trace("sent", String.format("\"number\": %d, \"text\": \"%s\"", x, message));
            Tracing.sleep(options.number("--interval", 1));
        }
        socket.close();
        context.term(); // what was sent is out then
    }
}
