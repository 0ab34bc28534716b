//! The loop with tasks around it that end.

use tokio::time::sleep;

use crate::config::Arguments;
use crate::config::Context;
use crate::core::object::{SourceEvent, SourceId};

use super::*;

/// A loop over a folder of manifests, and its configuration.
fn engine(folder: &std::path::Path) -> (EngineLoop, Config) {
    let source = folder.join("source");
    std::fs::create_dir(&source).unwrap();
    let vars = [("SOURCE", source), ("FOLDER", folder.join("files"))].map(|(name, path)| (name.to_owned(), path.display().to_string()));
    let vars = vars.into_iter().chain([("LABEL".to_owned(), "x".to_owned())]);
    let config = Config::from_vars(vars, &Arguments::default(), &Context { current_dir: "/".into(), ..Context::default() }).unwrap();
    let publisher = Publisher::new(&config, None, None);
    let servers = Servers { api: None, web: None, child: None, desk: None };
    let engine = EngineLoop::new(&config, None, servers, (Health::new(None), Metrics::default()), publisher).unwrap();
    let engine = EngineLoop { executor: Executor(Box::new(|work| work())), ..engine };
    (engine, config)
}

/// How the loop ends while something happens every twenty seconds; nothing if it does not end by itself.
async fn ended_among_events(engine: EngineLoop, config: &Config, tasks: &mut Tasks) -> Option<String> {
    let mailbox = engine.mailbox.clone();
    let mut shutdown = Shutdown::on_signals().unwrap();
    let events = async {
        for _ in 0..100 {
            sleep(LOOK / 3).await;
            mailbox.push(SourceEvent::Refused { source: SourceId(0) });
        }
    };
    tokio::select! {
        ended = engine.run(config, &mut shutdown, tasks) => match ended {
            LoopEnd::Done => None,
            LoopEnd::Failed(why) | LoopEnd::Settings(why) => Some(why),
        },
        () = events => None,
    }
}

#[tokio::test(start_paused = true)]
async fn s13_the_end_of_a_task_is_noticed_however_much_happens() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, config) = engine(folder.path());
    let mut tasks = Tasks::default();
    tasks.spawn("that lasts", std::future::pending());
    tasks.spawn("of the test", sleep(LOOK));
    assert_eq!(ended_among_events(engine, &config, &mut tasks).await.as_deref(), Some("the task of the test ended early"));
}

#[tokio::test(start_paused = true)]
async fn s13_nothing_ends_the_loop_while_all_tasks_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, config) = engine(folder.path());
    let mut tasks = Tasks::default();
    tasks.spawn("that lasts", std::future::pending());
    assert_eq!(ended_among_events(engine, &config, &mut tasks).await, None);
}
