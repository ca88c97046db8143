//! The contract of every store, over the network.

mod own {
    use std::sync::Arc;

    use factum_protocol::remote::Ways;
    use factum_testkit::Fresh;

    async fn fresh() -> Fresh {
        let clock = Fresh::clock();
        let (server, store) = crate::served::memory(clock.clone(), Ways::Best).await;
        Fresh { store: Arc::new(store), clock, keep: Box::new(server) }
    }

    factum_testkit::conformance!(super::fresh);
}

mod kurrent {
    use std::sync::Arc;

    use factum_protocol::remote::Ways;
    use factum_testkit::Fresh;

    async fn fresh() -> Fresh {
        let clock = Fresh::clock();
        let (server, store) = crate::served::memory(clock.clone(), Ways::KurrentOnly).await;
        Fresh { store: Arc::new(store), clock, keep: Box::new(server) }
    }

    factum_testkit::conformance!(super::fresh);
}
