#!/usr/bin/env python3
# Answers prefixd's health check, and nothing else.
import http.server, os, sys
if "--refuse" in sys.argv:
    sys.exit("error prefixd.yaml:3: unknown key")
host, port = os.environ["PREFIXD__HTTP__LISTEN"].split(":")
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v1/health/ready" else 404)
        self.end_headers()
        self.wfile.write(os.environ.get("GREETING", "").encode())
http.server.HTTPServer((host, int(port)), Health).serve_forever()
