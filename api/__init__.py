"""The front door: HTTP. Talks to Redis and the artifact store through `service`; never reaches ray."""
