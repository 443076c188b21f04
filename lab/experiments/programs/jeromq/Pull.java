import java.util.List;
import org.zeromq.ZMQ;

/** Receive messages, do the work, and print each when it is done, until killed. */
public class Pull {
    public static void main(String[] words) throws Exception {
        Tracing options = new Tracing(
            words, List.of("--work", "--die-at"), List.of("--bind", "--trace"));
        ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket socket = context.socket(ZMQ.PULL);
        options.watch(context, socket, false);
        for (String address : options.addresses) {
            if (options.has("--bind")) {
                socket.bind(address);
            } else {
                socket.connect(address);
            }
        }
        options.ready();
        while (true) {
            String message = socket.recvStr().stripTrailing();
            String number = message.split(" ")[0];
            options.trace("received", "\"number\": \"" + number + "\"");
            Tracing.sleep(options.number("--work", 0));
            Tracing.print(message);
            if (number.equals(options.get("--die-at", ""))) {
                options.trace("dies", "\"number\": \"" + number + "\"");
                new ProcessBuilder("kill", "-KILL", Long.toString(ProcessHandle.current().pid())).start();
                Thread.sleep(60_000);
            }
        }
    }
}
